//! What can be wrong with a graph before it runs.

/// A graph that cannot be run, in one line.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The text is not TOML, or has a key or a type that is not expected.
    #[error("line {line}: {message}")]
    Syntax {
        /// Line of the text, from 1.
        line: usize,
        /// What was found and expected.
        message: String,
    },
    /// There is no brick at all.
    #[error("the graph has no [[brick]]")]
    Empty,
    /// Two bricks share an identifier.
    #[error("brick `{0}` is defined twice; every id must be unique")]
    DuplicateId(String),
    /// An identifier that a layout cannot name.
    #[error(
        "id = \"{0}\": expected up to 64 characters without spaces, control characters and |, and not x with a number, which stands for replicas in layouts"
    )]
    Id(String),
    /// `next` names a brick that does not exist.
    #[error("brick `{from}`: next = \"{to}\" names no brick of this graph (there are: {known})")]
    UnknownNext {
        /// The brick that names it.
        from: String,
        /// The name.
        to: String,
        /// The identifiers that exist.
        known: String,
    },
    /// `next` names a brick twice.
    #[error("brick `{from}`: next names `{to}` twice; leave one of both out")]
    Twice {
        /// The brick that names it.
        from: String,
        /// The name.
        to: String,
    },
    /// A model without a name.
    #[error("[models]: a model has an empty name; give it one, by which bricks take it")]
    NamelessModel,
    /// Two bricks lead to the same one, and one of them is not reached.
    #[error(
        "bricks `{first}` and `{second}` both lead to `{to}`, but nothing leads from the first brick to `{second}`"
    )]
    Joined {
        /// One predecessor.
        first: String,
        /// The other.
        second: String,
        /// Where both lead.
        to: String,
    },
    /// The bricks form a circle.
    #[error("the graph goes round in a circle through `{0}`")]
    Cycle(String),
    /// Not every brick is reached from the first.
    #[error("brick `{0}` is not connected with the rest: give its predecessor next = \"{0}\"")]
    Unconnected(String),
    /// A brick reads what nothing before it fills.
    #[error("brick `{id}` ({kind}) reads {missing}, which nothing before it fills")]
    MissingColumns {
        /// The brick.
        id: String,
        /// Its kind.
        kind: &'static str,
        /// The columns.
        missing: String,
    },
    /// Two bricks that do not lead to each other use the same column.
    #[error(
        "bricks `{first}` and `{second}` run in parallel, but both use {columns}, which one of them fills"
    )]
    Conflict {
        /// One brick.
        first: String,
        /// The other.
        second: String,
        /// The columns.
        columns: String,
    },
    /// A brick fills what one before it has filled, without reading it.
    #[error(
        "brick `{id}` ({kind}) fills {columns}, which brick `{first}` has filled before it and `{id}` does not read"
    )]
    Overwritten {
        /// The brick.
        id: String,
        /// Its kind.
        kind: &'static str,
        /// The brick before it.
        first: String,
        /// The columns.
        columns: String,
    },
    /// Two declarations of a column contradict each other.
    #[error("{second}, but {first}")]
    Contradiction {
        /// Who declares what.
        second: String,
        /// Who declared what before.
        first: String,
    },
    /// A column cannot have this name.
    #[error(
        "{who} `{name}`: expected a name of up to 64 letters, digits, -, _ and ., and none of seq, timestamp, score and verdict, which are headings of tables"
    )]
    ColumnName {
        /// Who declares it, and how.
        who: String,
        /// The name.
        name: String,
    },
    /// More columns than a graph may have.
    #[error("{who}: {name} is one column too many; a graph has at most {most}")]
    TooManyColumns {
        /// Who declares it.
        who: String,
        /// The column.
        name: String,
        /// The limit.
        most: usize,
    },
    /// A column of flows in a graph whose packets do not all pass every brick.
    #[error(
        "brick `{id}` ({kind}) uses {columns} of the table of flows, which is not there behind a brick that branches or drops packets"
    )]
    Flows {
        /// The brick.
        id: String,
        /// Its kind.
        kind: &'static str,
        /// The columns.
        columns: String,
    },
    /// A branch on verdicts of which there are several columns.
    #[error("brick `{id}` branches on verdicts, but several columns hold some: {columns}")]
    SeveralVerdicts {
        /// The brick.
        id: String,
        /// The columns.
        columns: String,
    },
    /// A branch where there is no verdict yet.
    #[error("brick `{0}` branches on verdicts, which nothing before it fills")]
    NoVerdict(String),
    /// A branch for a verdict that its column does not know.
    #[error(
        "brick `{id}`: branch.{label}: the column {column} has no verdict of this name (there are: {known})"
    )]
    UnknownLabel {
        /// The brick.
        id: String,
        /// The key of its branch.
        label: String,
        /// The column by whose verdicts its packets part.
        column: String,
        /// What its verdicts may be.
        known: String,
    },
    /// More bricks than a graph may have.
    #[error("{found} bricks; a graph has at most {most}")]
    TooLarge {
        /// How many there are.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// More bricks than packets can be led through one by one, or more ways than can be looked at.
    #[error(
        "{found} {what}; a graph that branches, or drops packets before other bricks, has at most {most}"
    )]
    TooMany {
        /// Bricks or ways.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// The last brick leaves something unfilled that the sinks read.
    #[error("the graph ends without {0}: add the brick that fills it")]
    Unfinished(String),
    /// A brick names a model that there is not.
    #[error("brick `{id}`: model = \"{model}\" is not in [models] (there are: {known})")]
    UnknownModel {
        /// The brick.
        id: String,
        /// The name.
        model: String,
        /// The names that there are.
        known: String,
    },
    /// A brick that takes a model names none, and there are several.
    #[error("brick `{id}` ({kind}): model names none of the models of [models] (there are: {known})")]
    UnnamedModel {
        /// The brick.
        id: String,
        /// Its kind.
        kind: String,
        /// The names that there are.
        known: String,
    },
    /// A brick takes what another one made for another model.
    #[error(
        "brick `{id}`: model = \"{model}\", but what it reads brick `{first}` makes for model = \"{of}\"; both must name the same"
    )]
    OtherModel {
        /// The brick.
        id: String,
        /// The name.
        model: String,
        /// The brick before it.
        first: String,
        /// The name that this one has.
        of: String,
    },
    /// A brick names a model and takes none.
    #[error("brick `{id}`: model = \"{model}\", but a brick of kind {kind} takes no model")]
    NeedlessModel {
        /// The brick.
        id: String,
        /// Its kind.
        kind: String,
        /// The name.
        model: String,
    },
    /// No brick takes a model.
    #[error("[models]: no brick names the model `{0}`; give the brick that takes it model = \"{0}\"")]
    UnusedModel(String),
    /// A port cannot have this name.
    #[error("ports: `{name}` {reason}")]
    Port {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More ports than a graph may have.
    #[error("ports: {found} of them; a graph has at most {most}", most = legonf_core::Port::MOST)]
    Ports {
        /// How many there are.
        found: usize,
    },
    /// The catalogue refused a brick.
    #[error("brick `{id}`: {reason}")]
    Brick {
        /// The brick.
        id: String,
        /// Why it could not be made.
        reason: String,
    },
}
