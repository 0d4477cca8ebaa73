//! The engines for networks that are no KitNET: legonf's own where it knows all operators, else tract, which a build has only with
//! the feature `tract`.

use legonf_core::{ENGINE_ROWS, Storage};
use legonf_models::kitnet::Defect;
use legonf_models::{Bundle, Engine, EngineError, FeedForward, Meaning, Output, Signature, try_out};
#[cfg(feature = "tract")]
pub use legonf_tract::{LoadError, TractEngine};
#[cfg(not(feature = "tract"))]
pub use without::{LoadError, TractEngine};

/// The engine that runs a network.
#[derive(Clone, Debug)]
pub enum GenericEngine {
    /// legonf's own.
    Own(FeedForward),
    /// tract.
    #[cfg_attr(not(feature = "tract"), expect(dead_code, reason = "there is no value of it"))]
    Tract(TractEngine),
}

impl GenericEngine {
    /// That for the network of a bundle; for a KitNET its graph, in `f64`.
    ///
    /// # Errors
    /// If no engine of this build runs it, or its output means something else than the bundle says.
    pub fn from_bundle(bundle: &Bundle, rows: usize) -> Result<Self, LoadError> {
        or_tract(FeedForward::from_bundle(bundle), || TractEngine::from_bundle(bundle, rows))
    }

    /// That for a network with one input of `features` columns, whose output `output` scores rows.
    ///
    /// # Errors
    /// If no engine of this build runs it.
    pub fn new(onnx: &[u8], output: &str, features: usize, rows: usize) -> Result<Self, LoadError> {
        or_tract(FeedForward::scoring(onnx, output, features), || {
            TractEngine::new(onnx, output, features, rows)
        })
    }

    /// That for a network of any inputs, whose output `output` gives one value for each of so many classes.
    ///
    /// # Errors
    /// If no engine of this build runs it.
    pub fn classifier(onnx: &[u8], output: &str, classes: usize, rows: usize) -> Result<Self, LoadError> {
        or_tract(FeedForward::classifier(onnx, output, classes), || {
            TractEngine::classifier(onnx, output, classes, rows)
        })
    }

    /// That for a network of any inputs and outputs.
    ///
    /// # Errors
    /// If no engine of this build runs it.
    pub fn open(onnx: &[u8], rows: usize) -> Result<Self, LoadError> {
        or_tract(FeedForward::open(onnx), || TractEngine::open(onnx, rows))
    }

    /// Runs rows alone and beside others.
    ///
    /// # Errors
    /// If a row's values depend on those beside it, or no score is a number.
    pub fn try_out(&mut self) -> Result<(), EngineError> {
        match self {
            Self::Own(engine) => try_out(engine, ENGINE_ROWS),
            Self::Tract(engine) => engine.try_out(),
        }
    }

    /// What the output says of a row.
    pub fn meaning(&self) -> Meaning {
        match self {
            Self::Own(engine) => engine.meaning(),
            Self::Tract(engine) => engine.meaning(),
        }
    }

    /// Engines that share its weights, itself among them.
    #[cfg(all(test, feature = "tract"))]
    pub fn sharers(&self) -> usize {
        match self {
            Self::Own(engine) => engine.sharers(),
            Self::Tract(engine) => engine.sharers(),
        }
    }

    fn engine(&mut self) -> &mut dyn Engine {
        match self {
            Self::Own(engine) => engine,
            Self::Tract(engine) => engine,
        }
    }
}

/// legonf's own engine, or tract's in its place.
#[cfg(feature = "tract")]
fn or_tract(
    own: Result<FeedForward, Defect>,
    tract: impl FnOnce() -> Result<TractEngine, LoadError>,
) -> Result<GenericEngine, LoadError> {
    own.map(GenericEngine::Own).or_else(|_| tract().map(GenericEngine::Tract))
}

#[cfg(not(feature = "tract"))]
fn or_tract(
    own: Result<FeedForward, Defect>,
    _: impl FnOnce() -> Result<TractEngine, LoadError>,
) -> Result<GenericEngine, LoadError> {
    own.map(GenericEngine::Own).map_err(LoadError)
}

impl Engine for GenericEngine {
    fn signature(&self) -> &Signature {
        match self {
            Self::Own(engine) => engine.signature(),
            Self::Tract(engine) => engine.signature(),
        }
    }

    fn run(&mut self, inputs: &[Box<dyn Storage>], outputs: &mut [Output]) -> Result<(), EngineError> {
        self.engine().run(inputs, outputs)
    }

    fn warm(&mut self) -> Result<(), EngineError> {
        self.engine().warm()
    }
}

/// What stands in tract's place in a build without it: an engine that nobody can make, and an error that says so.
#[cfg(not(feature = "tract"))]
mod without {
    use legonf_core::Storage;
    use legonf_models::kitnet::Defect;
    use legonf_models::{Bundle, Engine, EngineError, Meaning, Output, Signature};
    use std::convert::Infallible;

    /// legonf's own engine cannot run a network, and this build has no other.
    #[derive(Debug, thiserror::Error)]
    #[error(
        "{0}; a build of legonf with `--features tract` runs more networks, and a KitNET by `--engine onnx`"
    )]
    pub struct LoadError(pub Defect);

    /// An engine that this build has not, so that there is no value of it.
    #[derive(Clone, Debug)]
    pub struct TractEngine(Infallible);

    impl TractEngine {
        pub fn from_bundle(_: &Bundle, _rows: usize) -> Result<Self, LoadError> {
            Err(missing())
        }

        pub fn new(_onnx: &[u8], _output: &str, _features: usize, _rows: usize) -> Result<Self, LoadError> {
            Err(missing())
        }

        pub fn classifier(_: &[u8], _output: &str, _classes: usize, _rows: usize) -> Result<Self, LoadError> {
            Err(missing())
        }

        pub fn open(_onnx: &[u8], _rows: usize) -> Result<Self, LoadError> {
            Err(missing())
        }

        pub fn try_out(&mut self) -> Result<(), EngineError> {
            match self.0 {}
        }

        pub fn meaning(&self) -> Meaning {
            match self.0 {}
        }
    }

    fn missing() -> LoadError {
        LoadError(Defect::new("tract", "is not in this build"))
    }

    impl Engine for TractEngine {
        fn signature(&self) -> &Signature {
            match self.0 {}
        }

        fn run(&mut self, _: &[Box<dyn Storage>], _: &mut [Output]) -> Result<(), EngineError> {
            match self.0 {}
        }
    }
}
