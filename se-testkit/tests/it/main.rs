//! The simulators, seen from outside.

mod sink;
mod virl2;
