//! `GET /gantry/network/explain`: how packets come in by a port of the host.

body! {
    /// One address of the host at which the port is published.
    pub struct PortWay {
        /// Address and port of the host.
        pub host: String,
        /// The container's id.
        pub container: String,
        /// The container's name.
        pub name: String,
        /// The network by which it is reached.
        pub network: String,
        /// Address and port of the container.
        pub target: String,
        /// Whether a packet gets there.
        pub admitted: bool,
        /// What decides that, in the order of a packet's way.
        pub steps: Vec<String>,
    }

    /// The answer.
    pub struct PortExplained {
        /// The port, such as `8080/tcp`.
        pub port: String,
        /// From where the packet comes; empty for anywhere.
        pub from: String,
        /// Whether it gets to a container.
        pub admitted: bool,
        /// All ways in.
        pub ways: Vec<PortWay>,
        /// What else there is to know.
        pub notes: Vec<String>,
    }
}
