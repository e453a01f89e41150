//! The simulators, seen from outside.

mod console;
mod host;
mod sink;
mod virl2;
