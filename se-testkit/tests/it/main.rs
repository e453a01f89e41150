//! The simulators, seen from outside.

mod virl2;
