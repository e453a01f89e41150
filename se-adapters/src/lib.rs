//! Pods and devices: what the engine's actions do in the world.
