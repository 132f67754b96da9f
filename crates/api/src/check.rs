//! `POST /gantry/system/check`.

body! {
    /// Something that is not as it should be.
    pub struct CheckFinding {
        /// What it is about, such as `layer`.
        pub kind: String,
        /// Which one.
        pub name: String,
        /// What is wrong with it.
        pub problem: String,
        /// What was done about it, when it is all right now.
        pub repaired: Option<String>,
        /// What can be done about it, when it is not.
        pub advice: Option<String>,
    }

    /// How much was looked at, and what came of it.
    pub struct CheckSummary {
        /// Images.
        pub images: u64,
        /// Layers.
        pub layers: u64,
        /// Blobs.
        pub blobs: u64,
        /// Containers.
        pub containers: u64,
        /// Volumes.
        pub volumes: u64,
        /// How much is not as it should be.
        pub found: u64,
        /// How much of it is all right now.
        pub repaired: u64,
    }

    /// One line of the answer.
    pub struct CheckLine {
        /// What was found.
        pub finding: Option<CheckFinding>,
        /// The last line.
        pub summary: Option<CheckSummary>,
    }
}
