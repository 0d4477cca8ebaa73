//! The models of a graph: which brick takes which, and each file read once.

use crate::network::Network;
use crate::{Error, Session, nf};
use legonf_catalog::{Context, Takes, Trained};
use legonf_core::{Brick, Schema};
use legonf_extract::FeatureQuantization;
use legonf_infer::{Autoencoder, FeatureMapping};
use legonf_models::{EngineError, ModelError, OnnxFile};
use legonf_runtime::{BrickSpec, GraphError, GraphSpec};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The file of a model, as who runs a graph gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Which of the graph's models it is; none where the graph has but one.
    pub name: Option<String>,
    /// The file.
    pub file: PathBuf,
}

/// `FILE`, or `NAME=FILE` where what is before the first `=` is a name: letters, digits, `_` and `-`.
impl From<OsString> for ModelFile {
    fn from(text: OsString) -> Self {
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        };
        let named = text.to_str().and_then(|text| text.split_once('=')).filter(|(name, _)| is_name(name));
        match named {
            Some((name, file)) => Self { name: Some(name.to_owned()), file: file.into() },
            None => Self { name: None, file: text.into() },
        }
    }
}

impl From<PathBuf> for ModelFile {
    fn from(file: PathBuf) -> Self {
        Self { name: None, file }
    }
}

impl ModelFile {
    /// What gives it on a command line.
    fn option(&self) -> String {
        let name = self.name.as_ref().map_or_else(String::new, |name| format!("{name}="));
        format!("--model {name}{}", self.file.display())
    }
}

/// How a network of other makers is tried before it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trial {
    /// Here, within bounds.
    Bounded,
    /// It has been, by who gives it.
    Done,
}

/// The models of a graph, loaded. Clones share them.
#[derive(Clone, Default)]
pub struct Models(Vec<Loaded>);

/// One of them.
#[derive(Clone)]
pub(crate) struct Loaded {
    /// Its name in the graph; none of a graph that names no models.
    pub name: Option<String>,
    /// Its file.
    pub file: PathBuf,
    /// What was in it.
    pub network: Network,
}

impl Loaded {
    fn trained(&self) -> Trained<'_> {
        Trained { model: self.name.as_deref(), schema: self.network.schema() }
    }
}

impl Models {
    /// One model, for all bricks of a graph.
    pub fn one(network: Network) -> Self {
        Self(vec![Loaded { name: None, file: PathBuf::new(), network }])
    }

    /// One model, which is in a file.
    pub(crate) fn of_file(network: Network, file: &Path) -> Self {
        Self(vec![Loaded { name: None, file: file.to_owned(), network }])
    }

    /// Reads the models of a graph, each file once; `graph` is the graph's file, where it has one. What `given` names comes in
    /// place of what the graph says.
    ///
    /// # Errors
    /// If a model has no file or more than one, is given to a graph that has none of this name, or its file is missing or damaged.
    pub fn load(
        session: &Session,
        spec: &GraphSpec,
        graph: Option<&Path>,
        given: &[ModelFile],
    ) -> Result<Self, Error> {
        let mut models = Self::default();
        for (name, file) in files(spec, graph, given)? {
            let network = models.read(session, name.as_deref(), &file, graph)?;
            models.0.push(Loaded { name, file, network });
        }
        Ok(models)
    }

    /// The models of a graph as they came with an order, each by its name and what is in its file: no file is read.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(crate) fn ordered(
        session: &Session,
        spec: &GraphSpec,
        given: Vec<(Option<String>, Vec<u8>)>,
    ) -> Result<Self, Error> {
        let (mut named, mut contents) = (Vec::new(), Vec::new());
        for (number, (name, bytes)) in given.into_iter().enumerate() {
            // A file in name alone, by which errors tell of it.
            named.push(ModelFile { name, file: PathBuf::from(format!("model {number} of the order")) });
            contents.push(Some(bytes));
        }
        let mut models = Self::default();
        for (name, file) in files(spec, None, &named)? {
            let at = named.iter().position(|given| given.file == file);
            let bytes = at.and_then(|at| contents[at].take());
            let bytes = bytes.ok_or_else(|| Error::file(&file, "this model did not come with the order"))?;
            let content = OnnxFile::from_bytes(bytes, &file.display().to_string());
            let network = network(session, name.as_deref(), content, &file, None)?;
            models.0.push(Loaded { name, file, network });
        }
        Ok(models)
    }

    /// The network of a file, from where it has been read already if it has.
    fn read(
        &self,
        session: &Session,
        name: Option<&str>,
        file: &Path,
        graph: Option<&Path>,
    ) -> Result<Network, Error> {
        let place = |file: &Path| file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let known = self.0.iter().find(|known| place(&known.file) == place(file));
        match known {
            Some(known) => Ok(known.network.clone()),
            None => network(session, name, OnnxFile::load(file), file, graph),
        }
    }

    /// The models with another file for one of them, and what was in it.
    ///
    /// # Errors
    /// If there is no such model, the file cannot be read, or its features are others.
    pub(crate) fn with(
        &self,
        session: &Session,
        given: &ModelFile,
        trial: Trial,
    ) -> Result<(Self, Network), Error> {
        let place = self.place(given)?;
        let network = match (trial, &self.0[place].name) {
            (Trial::Done, _) => Network::read_tried(&given.file)?,
            (Trial::Bounded, None) => Network::load(session, &given.file)?,
            (Trial::Bounded, Some(_)) => Network::read(session, &given.file)?,
        };
        self.with_network(given, place, network)
    }

    /// The same with what was in a file, which has been tried.
    ///
    /// # Errors
    /// As [`with`](Self::with).
    pub(crate) fn with_content(
        &self,
        given: &ModelFile,
        content: OnnxFile,
    ) -> Result<(Self, Network), Error> {
        self.with_network(given, self.place(given)?, Network::tried_content(content, &given.file)?)
    }

    /// Which of the models another one is given for.
    fn place(&self, given: &ModelFile) -> Result<usize, Error> {
        let fits = |model: &Loaded| given.name.is_none() && self.0.len() == 1 || model.name == given.name;
        self.0.iter().position(fits).ok_or_else(|| {
            let known = self.named().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
            let known = if known.is_empty() {
                "give FILE alone".to_owned()
            } else {
                format!("give NAME=FILE; there are: {known}")
            };
            Error::refused(format!("{}: the graph has no such model ({known})", given.file.display()))
        })
    }

    fn with_network(
        &self,
        given: &ModelFile,
        place: usize,
        network: Network,
    ) -> Result<(Self, Network), Error> {
        let old = &self.0[place];
        check_schema(&given.file, (old.network.schema(), network.schema()))?;
        let mut models = self.clone();
        models.0[place] =
            Loaded { file: given.file.clone(), network: network.clone(), name: old.name.clone() };
        Ok((models, network))
    }

    /// The model that a brick takes; none where it takes none.
    pub(crate) fn of(&self, brick: &BrickSpec) -> Option<&Loaded> {
        match (legonf_catalog::takes(&brick.kind, &brick.config), &brick.model) {
            (Takes::Nothing, _) => None,
            (_, Some(name)) => self.0.iter().find(|model| model.name.as_ref() == Some(name)),
            (_, None) if self.0.len() == 1 => self.0.first(),
            (_, None) => None,
        }
    }

    /// The model whose scores are a graph's: that of the brick that fills them, else the first.
    pub(crate) fn main(&self, spec: &GraphSpec) -> Option<&Loaded> {
        let fills = |brick: &&BrickSpec| legonf_catalog::fills_scores(&brick.kind, &brick.config);
        spec.bricks.iter().find(fills).and_then(|brick| self.of(brick)).or(self.0.first())
    }

    /// The names and files of all models.
    pub(crate) fn files(&self) -> impl Iterator<Item = (Option<&str>, &Path)> {
        self.0.iter().map(|model| (model.name.as_deref(), &*model.file))
    }

    /// The files of the models that have a name.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.0.iter().filter_map(|model| Some((model.name.as_deref()?, &*model.file)))
    }

    /// The models of the bricks that read features.
    fn trained(&self, spec: &GraphSpec) -> Vec<Trained<'_>> {
        let reads = |brick: &&BrickSpec| legonf_catalog::reads_features(&brick.kind, &brick.config);
        let readers = spec.bricks.iter().filter(reads).filter_map(|brick| self.of(brick));
        readers.map(Loaded::trained).filter(|trained| !trained.schema.features.is_empty()).collect()
    }

    /// The schema of a graph's features: that of its models, else that of its extractor.
    ///
    /// # Errors
    /// If the extractor's is unknown.
    pub(crate) fn schema(&self, spec: &GraphSpec) -> Result<Schema, Error> {
        if let Some(first) = self.trained(spec).first() {
            return Ok(first.schema.clone());
        }
        let extractor = spec.bricks.iter().find(|brick| brick.kind == FeatureQuantization::KIND);
        let named = extractor.and_then(|brick| brick.config.get("schema")?.as_str());
        Ok(legonf_extract::schema_by_name(named.unwrap_or(legonf_extract::DEFAULT_SCHEMA))?)
    }

    /// Makes a brick of a graph, which has seen nothing. Scores above `threshold`, or else above its model's, are anomalous for a
    /// decision whose configuration names none.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(crate) fn build(
        &self,
        spec: &GraphSpec,
        brick: &BrickSpec,
        threshold: Option<f64>,
    ) -> Result<Box<dyn Brick>, Error> {
        let (trained, network) = (self.trained(spec), self.of(brick).map(|model| &model.network));
        let ports = spec.port_names();
        let engine = || network.map_or_else(|| Err(EngineError("there is no model".into())), Network::engine);
        let context = Context {
            trained: &trained,
            kitnet: network.and_then(Network::kitnet),
            detector: network.and_then(Network::detector),
            threshold: threshold.or(network.and_then(Network::threshold)),
            classes: network.map_or(&[], Network::classes),
            unknown_below: network.and_then(Network::unknown_below),
            engine: network.is_some().then_some(&engine),
            ports: &ports,
        };
        Ok(legonf_catalog::build(&brick.kind, &brick.config, &context)?)
    }
}

/// Refuses a model that takes other features than the one that it follows.
fn check_schema(file: &Path, (old, new): (&Schema, &Schema)) -> Result<(), Error> {
    if old.hash() == new.hash() {
        return Ok(());
    }
    let named = |schema: &Schema| format!("{} ({})", schema.name, schema.hash());
    let reason = format!(
        "takes features of schema {}, and the model in force those of {}, which goes on",
        named(new),
        named(old)
    );
    Err(Error::file(file, reason))
}

/// Whether a graph needs a model of which it does not name the file.
pub(crate) fn lacks_files(spec: &GraphSpec, graph: Option<&Path>) -> bool {
    files(spec, graph, &[]).is_err()
}

/// Checks that the files of a graph's models are there, without reading them.
///
/// # Errors
/// As [`Models::load`], but for what is in them.
#[cfg(feature = "live")]
pub(crate) fn check_files(spec: &GraphSpec, graph: Option<&Path>, given: &[ModelFile]) -> Result<(), Error> {
    let missing = |(name, file): File| {
        let error = std::fs::metadata(&file).err().map(|error| Error::file(&file, error))?;
        Some(match name {
            Some(name) => of_model(graph, &name, &error),
            None => error,
        })
    };
    files(spec, graph, given)?.into_iter().find_map(missing).map_or(Ok(()), Err)
}

/// Checks that a graph is one, and that its bricks and models name each other.
///
/// # Errors
/// As [`GraphSpec::sequence`], and if a brick names a model that is not there or that it does not take, names none where there are several, or a model is named by
/// none.
pub fn check(spec: &GraphSpec) -> Result<(), GraphError> {
    spec.sequence()?;
    if spec.models.contains_key("") {
        return Err(GraphError::NamelessModel);
    }
    spec.bricks.iter().try_for_each(|brick| check_brick(spec, brick))?;
    spec.bricks.iter().try_for_each(|brick| check_mapped(spec, brick))?;
    let takes = |brick: &BrickSpec| legonf_catalog::takes(&brick.kind, &brick.config) != Takes::Nothing;
    let only = spec.models.len() == 1 && spec.bricks.iter().any(takes);
    let named = |model: &String| spec.bricks.iter().any(|brick| brick.model.as_ref() == Some(model));
    match spec.models.keys().find(|model| !only && !named(model)) {
        Some(unused) => Err(GraphError::UnusedModel(unused.clone())),
        None => Ok(()),
    }
}

/// Checks that the autoencoders behind a feature mapping take the model whose features it maps.
fn check_mapped(spec: &GraphSpec, mapping: &BrickSpec) -> Result<(), GraphError> {
    let follows = |brick: &BrickSpec| mapping.next.contains(&brick.id) && brick.kind == Autoencoder::KIND;
    let other = |brick: &&BrickSpec| follows(brick) && brick.model != mapping.model;
    let other = spec.bricks.iter().filter(|_| mapping.kind == FeatureMapping::KIND).find(other);
    other.map_or(Ok(()), |brick| {
        let model = |brick: &BrickSpec| brick.model.clone().unwrap_or_default();
        let (first, of) = (mapping.id.clone(), model(mapping));
        Err(GraphError::OtherModel { id: brick.id.clone(), model: model(brick), first, of })
    })
}

fn check_brick(spec: &GraphSpec, brick: &BrickSpec) -> Result<(), GraphError> {
    let (id, kind) = (brick.id.clone(), brick.kind.clone());
    let takes = legonf_catalog::takes(&brick.kind, &brick.config);
    match &brick.model {
        Some(model) if takes == Takes::Nothing => {
            Err(GraphError::NeedlessModel { id, kind, model: model.clone() })
        }
        Some(model) if !spec.models.contains_key(model) => {
            Err(GraphError::UnknownModel { id, model: model.clone(), known: known(spec) })
        }
        None if matches!(takes, Takes::Threshold | Takes::Classes | Takes::Network)
            && spec.models.len() > 1 =>
        {
            Err(GraphError::UnnamedModel { id, kind, known: known(spec) })
        }
        _ => Ok(()),
    }
}

/// The names of a graph's models.
fn known(spec: &GraphSpec) -> String {
    let names: Vec<_> = spec.models.keys().map(String::as_str).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// The network of a model of a graph, of what was in its file.
fn network(
    session: &Session,
    name: Option<&str>,
    content: Result<OnnxFile, ModelError>,
    file: &Path,
    graph: Option<&Path>,
) -> Result<Network, Error> {
    let content = content.map_err(Error::from);
    match name {
        None => content.and_then(|content| Network::model(session, content, file)),
        Some(name) => content
            .and_then(|content| Network::any_model(session, content, file))
            .map_err(|error| of_model(graph, name, &error)),
    }
}

/// What is wrong with the model of a graph that has this name.
fn of_model(graph: Option<&Path>, name: &str, error: &Error) -> Error {
    nf::in_file(graph, Error::refused(format!("model `{name}`: {error}")))
}

/// A model's name, where it has one, and its file.
type File = (Option<String>, PathBuf);

/// The files of a graph's models.
fn files(spec: &GraphSpec, graph: Option<&Path>, given: &[ModelFile]) -> Result<Vec<File>, Error> {
    let again = given.iter().enumerate().find(|(at, file)| given[..*at].iter().any(|g| g.name == file.name));
    if let Some((_, file)) = again {
        let reason = "a model is given twice; leave one of both out";
        return Err(Error::refused(format!("{}: {reason}", file.option())));
    }
    let found = if spec.models.is_empty() { only(spec, given) } else { named(spec, graph, given) };
    found.map_err(|error| nf::in_file(graph, error))
}

/// The file of the only model of a graph that names none.
fn only(spec: &GraphSpec, given: &[ModelFile]) -> Result<Vec<File>, Error> {
    if let Some(file) = given.iter().find(|file| file.name.is_some()) {
        let reason = "the graph has no [models]; give the one that it takes as --model FILE";
        return Err(Error::refused(format!("{}: {reason}", file.option())));
    }
    let takes = |takes| spec.bricks.iter().find(move |b| legonf_catalog::takes(&b.kind, &b.config) == takes);
    match (given, takes(Takes::Network)) {
        ([], Some(BrickSpec { id, kind, .. })) => {
            Err(Error::refused(format!("brick `{id}` ({kind}) needs a model: give it as --model FILE")))
        }
        ([file, ..], None) if takes(Takes::Threshold).is_none() => {
            let reason = "no brick of the graph takes a model; leave it out";
            Err(Error::refused(format!("{}: {reason}", file.option())))
        }
        _ => Ok(given.iter().map(|given| (None, given.file.clone())).collect()),
    }
}

/// The files of the models that a graph names.
fn named(spec: &GraphSpec, graph: Option<&Path>, given: &[ModelFile]) -> Result<Vec<File>, Error> {
    let several = spec.models.len() > 1;
    let fits = |file: &&ModelFile| match &file.name {
        Some(name) => spec.models.contains_key(name),
        None => !several,
    };
    if let Some(other) = given.iter().find(|file| !fits(file)) {
        let reason = format!("none of [models] (there are: {}): give it as --model NAME=FILE", known(spec));
        return Err(Error::refused(format!("{}: {reason}", other.option())));
    }
    let folder = graph.and_then(Path::parent).unwrap_or(Path::new(""));
    let file = |(name, file): (&String, &String)| {
        let given = given.iter().rfind(|given| given.name.as_ref().is_none_or(|given| given == name));
        match given {
            Some(given) => Ok((Some(name.clone()), given.file.clone())),
            None if file.is_empty() => Err(Error::refused(format!(
                "model `{name}` has no file in [models]: give it as --model {name}=FILE"
            ))),
            None => Ok((Some(name.clone()), folder.join(file))),
        }
    };
    spec.models.iter().map(file).collect()
}

#[cfg(test)]
mod tests;
