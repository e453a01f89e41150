//! Connectors against real devices: FRRouting, ser2net, OpenSSH; and against servers that misbehave.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod bench;
mod chaos;
mod cml;
mod console;
mod consoles;
mod ec2;
mod files;
mod frr;
mod lds;
mod netmiko;
mod pod;
mod sessions;
mod simulated;
mod ssh;
mod ssh_policy;
mod unicon;
