//! A simulated pod: every part speaks the real protocol on a real socket.

mod cisco;
mod cml;
mod console;
mod control;
mod journal;
mod lds;
mod pod;
mod power;
mod profile;
mod script;
mod serve;
mod sink;
mod task;
mod telnet;
mod unix;

pub use cml::{CmlFault, CmlFaultKind, CmlOptions, CmlSim};
pub use journal::{Entry, Journal};
pub use lds::{LdsCall, LdsFault, LdsSession, LdsSim};
pub use pod::{Pod, PodOptions};
pub use power::{NodeState, Power};
pub use profile::{
    Answer, Commands, DeviceFault, DeviceFaultKind, DeviceKind, DeviceProfile, Expression,
    FaultPoint, Login, Pattern, Profile,
};
pub use sink::{Sink, SinkOptions};
