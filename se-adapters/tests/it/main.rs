//! Connectors against real devices: FRRouting, ser2net, OpenSSH; and against servers that misbehave.

mod bench;
mod cml;
mod console;
mod frr;
mod pod;
mod ssh;
