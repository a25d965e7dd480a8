//! One of wit-bindgen's own guests, as it was published. `GUEST` is its source, `BINDINGS` what it includes.

include!(env!("GUEST"));
