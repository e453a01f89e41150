//! Pods and devices: what the engine's actions do in the world.

pub mod connect;
pub mod device;
pub mod transcript;
