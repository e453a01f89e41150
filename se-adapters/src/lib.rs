//! Pods and devices: what the engine's actions do in the world.
//!
//! Read in this order: [`PodActions`] is what a job calls; [`Worker`] says where its pod is, [`Registry`]
//! which adapter drives it, [`PodAdapter`] what an adapter can do with labs. Steps on devices go to
//! [`device`], over the sessions of [`connect`], which a [`transcript`] records;
//! candidates see a pod through [`Lds`].

mod cml;
pub mod connect;
mod deadline;
pub mod device;
#[cfg(feature = "ec2")]
mod ec2;
mod files;
mod lab;
mod lds;
mod pod;
mod ports;
mod registry;
pub mod transcript;
mod worker;

pub use deadline::Deadline;
#[cfg(feature = "ec2")]
pub use ec2::{Ec2, Ec2Options, InstanceState};
pub use files::{ContentFiles, FilesIn};
pub use lab::resolve::LabSource;
pub use lab::{
    Answer, ConfigFile, ConsoleStream, ImportedLab, LabId, LabState, LabStatus, LabSummary, NodeAt,
    NodeId, NodeState, NodeStatus, NodeTelemetry, PodAdapter, Shape, SystemInfo, SystemStats,
    Transfer,
};
pub use lds::{Lds, LdsService};
pub use pod::{PodActions, PodOptions};
pub use ports::{PodPorts, PortBook, PortsInMemory, PortsWanted};
pub use registry::{Mismatch, Registry, Selected};
pub use worker::{CONSOLE_PORT, ConsoleWay, Fingerprint, Trust, Worker};
