//! The generic ONNX engine, which a build has only with the feature `tract`.

#[cfg(feature = "tract")]
pub use legonf_tract::{LoadError, TractEngine as GenericEngine};
#[cfg(not(feature = "tract"))]
pub use without::{GenericEngine, LoadError};

/// What stands in its place in a build without it: an engine that nobody can make, and an error that says so.
#[cfg(not(feature = "tract"))]
mod without {
    use legonf_core::Storage;
    use legonf_models::{Bundle, Engine, EngineError, Meaning, Output, Signature};
    use std::convert::Infallible;

    /// This build has no generic engine.
    #[derive(Debug, thiserror::Error)]
    #[error(
        "this build of legonf runs KitNET only: build it with `--features tract` for other networks and for `--engine onnx`"
    )]
    pub struct LoadError;

    /// An engine that this build has not, so that there is no value of it.
    #[derive(Clone, Debug)]
    pub struct GenericEngine(Infallible);

    impl GenericEngine {
        pub fn from_bundle(_: &Bundle, _rows: usize) -> Result<Self, LoadError> {
            Err(LoadError)
        }

        pub fn new(_onnx: &[u8], _output: &str, _features: usize, _rows: usize) -> Result<Self, LoadError> {
            Err(LoadError)
        }

        pub fn classifier(_: &[u8], _output: &str, _classes: usize, _rows: usize) -> Result<Self, LoadError> {
            Err(LoadError)
        }

        pub fn open(_onnx: &[u8], _rows: usize) -> Result<Self, LoadError> {
            Err(LoadError)
        }

        pub fn try_out(&mut self) -> Result<(), EngineError> {
            match self.0 {}
        }

        pub fn meaning(&self) -> Meaning {
            match self.0 {}
        }
    }

    impl Engine for GenericEngine {
        fn signature(&self) -> &Signature {
            match self.0 {}
        }

        fn run(&mut self, _: &[Box<dyn Storage>], _: &mut [Output]) -> Result<(), EngineError> {
            match self.0 {}
        }
    }
}
