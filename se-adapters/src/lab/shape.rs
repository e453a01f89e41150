//! Which topology a lab is of.

/// Which nodes and links a lab has, apart from ids, places and configuration: two labs of one shape are
/// of one topology.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Label and definition of each node, sorted.
    nodes: Vec<(String, String)>,
    /// The two ends of each link, each end a label and an interface, sorted.
    links: Vec<(End, End)>,
}

/// A node's label and an interface's.
pub(crate) type End = (String, String);

impl Shape {
    /// Of nodes and links in any order.
    pub(crate) fn new(
        nodes: impl IntoIterator<Item = (String, String)>,
        links: impl IntoIterator<Item = (End, End)>,
    ) -> Self {
        let mut nodes: Vec<_> = nodes.into_iter().collect();
        let ordered = |(a, b): (End, End)| if a <= b { (a, b) } else { (b, a) };
        let mut links: Vec<_> = links.into_iter().map(ordered).collect();
        nodes.sort();
        links.sort();
        Self { nodes, links }
    }
}
