//! Every limit at its bound: the documented answer, and nothing else on the gateway affected.

mod clients;
mod guests;
mod heads;
mod saturation;
