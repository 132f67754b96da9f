//! `GET /containers/{id}/top`.

body! {
    /// The processes of a container.
    pub struct ContainerTop {
        /// Their cells, in the order of the titles.
        pub processes: Option<Vec<Vec<String>>>,
        /// Of the columns.
        pub titles: Vec<String>,
    }
}
