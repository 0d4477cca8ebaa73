//! ONNX files as fields of protobuf, looked at before memory is taken for what they say.
//!
//! A field of two bytes can stand for a structure of hundreds. So the parts of a file are counted while it is still
//! bytes ([`check`]), and what changes a file leaves every field alone that it does not know.

use crate::kitnet::Defect;
use prost::encoding::{self, DecodeContext, WireType};

/// Operators of a network at most, those of its subgraphs included.
pub const MAX_NODES: usize = 10_000;
/// Named parts of a network at most: operators, their attributes, tensors, inputs, outputs and properties.
pub const MAX_PARTS: usize = 200_000;
/// Bytes of a model file at most beside the numbers of its tensors and attributes.
pub const MAX_STRUCTURE_BYTES: usize = 8 << 20;

/// Messages within messages at most, as prost reads them.
const MAX_DEPTH: usize = 90;

/// The messages of ONNX that hold what is counted or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    /// A message without one of the others in it.
    Leaf,
}

impl Kind {
    /// What field `tag` of a message of this kind holds, where that is a message.
    fn child(self, tag: u32) -> Option<Self> {
        match (self, tag) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Some(Self::Graph),
            (Self::Model, 20) => Some(Self::Training),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Node, 5) | (Self::Function, 11) => Some(Self::Attribute),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Some(Self::Tensor),
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Some(Self::Sparse),
            (Self::Model, 8 | 14) | (Self::Graph, 11..=14) => Some(Self::Leaf),
            _ => None,
        }
    }

    /// Whether field `tag` holds the numbers of a tensor or of an attribute, in about as many bytes as they take in memory: at
    /// least an eighth of them.
    fn is_numbers(self, tag: u32) -> bool {
        matches!((self, tag), (Self::Tensor, 4 | 9 | 10) | (Self::Attribute, 7 | 8))
    }
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) tag: u32,
    /// The field with its key.
    pub(crate) whole: &'a [u8],
    /// The content of a field with a length.
    pub(crate) content: Option<&'a [u8]>,
}

/// The fields of a message in their order.
///
/// # Errors
/// Ends at the first byte that is no protobuf.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, Defect>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest).map_err(|e| Defect::new("ONNX", e.to_string()));
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>, prost::DecodeError> {
    let start = *rest;
    let (tag, wire_type) = encoding::decode_key(rest)?;
    let mut content = *rest;
    encoding::skip_field(wire_type, tag, rest, DecodeContext::default())?;
    let whole = &start[..start.len() - rest.len()];
    if wire_type != WireType::LengthDelimited {
        return Ok(Field { tag, whole, content: None });
    }
    let len = encoding::decode_varint(&mut content)?;
    let content = usize::try_from(len).ok().and_then(|len| content.get(..len));
    Ok(Field { tag, whole, content })
}

/// Appends a field with a length to a message.
pub(crate) fn put(message: &mut Vec<u8>, tag: u32, content: &[u8]) {
    encoding::encode_key(tag, WireType::LengthDelimited, message);
    encoding::encode_varint(content.len() as u64, message);
    message.extend_from_slice(content);
}

/// Checks that a file has no more parts than [`MAX_NODES`], [`MAX_PARTS`] and [`MAX_STRUCTURE_BYTES`] allow.
///
/// # Errors
/// Names what there is too much of, or the reason why the file is not ONNX.
pub(crate) fn check(file: &[u8]) -> Result<(), Defect> {
    let mut count = Count::default();
    count.add(Kind::Model, file, 0)?;
    let structure = file.len() - count.numbers;
    if structure > MAX_STRUCTURE_BYTES {
        let reason =
            format!("{structure} bytes beside the numbers of tensors; at most {MAX_STRUCTURE_BYTES}");
        return Err(Defect::new("graph", reason));
    }
    Ok(())
}

#[derive(Default)]
struct Count {
    nodes: usize,
    parts: usize,
    /// Bytes of the numbers of tensors.
    numbers: usize,
}

impl Count {
    fn add(&mut self, kind: Kind, message: &[u8], depth: usize) -> Result<(), Defect> {
        if depth > MAX_DEPTH {
            return Err(Defect::new("graph", format!("subgraphs within more than {MAX_DEPTH} others")));
        }
        self.nodes += usize::from(kind == Kind::Node);
        self.parts += 1;
        let limits = [("operators", self.nodes, MAX_NODES), ("parts", self.parts, MAX_PARTS)];
        if let Some((what, _, most)) = limits.into_iter().find(|(_, found, most)| found > most) {
            return Err(Defect::new(
                "graph",
                format!("more than {most} {what}, the most that a model may have"),
            ));
        }
        if kind == Kind::Leaf {
            return Ok(());
        }
        for field in fields(message) {
            let field = field?;
            if kind.is_numbers(field.tag) {
                self.numbers += field.whole.len();
            } else if let Some((child, content)) = kind.child(field.tag).zip(field.content) {
                self.add(child, content, depth + 1)?;
            }
        }
        Ok(())
    }
}

/// What becomes of the bytes of a tensor.
type Change<'a> = dyn FnMut(&[u8]) -> Result<Option<Vec<u8>>, Defect> + 'a;

/// The message with each tensor in it replaced by what `change` makes of its bytes; `None` of it leaves one as it is.
///
/// # Errors
/// The first of `change`, or that of a message that is no protobuf.
pub(crate) fn with_tensors(kind: Kind, message: &[u8], change: &mut Change<'_>) -> Result<Vec<u8>, Defect> {
    let mut changed = Vec::with_capacity(message.len());
    for field in fields(message) {
        let field = field?;
        match field.content.zip(kind.child(field.tag)) {
            Some((tensor, Kind::Tensor)) => match change(tensor)? {
                Some(tensor) => put(&mut changed, field.tag, &tensor),
                None => changed.extend_from_slice(field.whole),
            },
            Some((inner, child)) if child != Kind::Leaf => {
                put(&mut changed, field.tag, &with_tensors(child, inner, change)?);
            }
            _ => changed.extend_from_slice(field.whole),
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A graph of `nodes` operators without a name: two bytes each.
    fn graph(nodes: usize) -> Vec<u8> {
        let mut graph = Vec::new();
        (0..nodes).for_each(|_| put(&mut graph, 1, &[]));
        let mut model = Vec::new();
        put(&mut model, 7, &graph);
        model
    }

    #[test]
    fn parts_are_counted_before_they_are_read() {
        assert_eq!(check(&graph(MAX_NODES)), Ok(()));
        let error = check(&graph(MAX_NODES + 1)).unwrap_err().to_string();
        assert_eq!(error, "graph: more than 10000 operators, the most that a model may have");
    }

    #[test]
    fn subgraphs_are_counted_too() {
        let body = graph(MAX_NODES);
        let body = fields(&body).next().unwrap().unwrap().content.unwrap();
        let (mut attribute, mut node, mut outer, mut model) = (vec![], vec![], vec![], vec![]);
        put(&mut attribute, 6, body);
        put(&mut node, 5, &attribute);
        put(&mut outer, 1, &node);
        put(&mut model, 7, &outer);
        assert!(check(&model).unwrap_err().to_string().contains("operators"));
    }

    #[test]
    fn what_is_not_numbers_is_bounded() {
        let model = |tag, len: usize| {
            let (mut tensor, mut graph, mut model) = (vec![], vec![], vec![]);
            put(&mut tensor, tag, &vec![0; len]);
            put(&mut graph, 5, &tensor);
            put(&mut model, 7, &graph);
            model
        };
        assert_eq!(check(&model(9, 2 * MAX_STRUCTURE_BYTES)), Ok(()));
        let error = check(&model(7, MAX_STRUCTURE_BYTES)).unwrap_err().to_string();
        assert!(error.contains("beside the numbers of tensors; at most 8388608"), "{error}");
    }

    #[test]
    fn what_is_no_protobuf_is_refused() {
        for bytes in [&[0x3a, 5, 1][..], &[0xff; 12], &[0x08], &[0x07, 0]] {
            assert!(check(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn unchanged_tensors_leave_the_same_bytes() {
        let model = graph(3);
        assert_eq!(with_tensors(Kind::Model, &model, &mut |_| Ok(None)).unwrap(), model);
    }
}
