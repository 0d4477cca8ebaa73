//! Where the numbers of weights lie in ONNX, which has channels first where the networks here have them last.

use crate::network::{Body, Network};

/// Dimensions of a weight in ONNX, and which of its numbers comes where.
pub(crate) struct Placing {
    pub(crate) dims: Vec<usize>,
    /// For each place in ONNX the place here; none where they are the same.
    order: Option<Vec<usize>>,
}

impl Placing {
    /// That of a weight of a network.
    pub(crate) fn of(network: &Network, name: &str) -> Self {
        let weight = network.weights.named.iter().find(|weight| weight.name == name);
        let dims = weight.map_or_else(Vec::new, |weight| weight.var.dims().to_vec());
        let layer = name.strip_suffix(".weight");
        match (&network.body, layer) {
            (Body::Image(image), Some("dense")) => {
                let channels = image.convolutions.last().map_or(1, |last| last.weight.dims()[1]);
                Self::flattened(dims, channels)
            }
            (Body::Image(image), Some(layer)) => Self::kernel(&image.convolutions, layer, dims, &[3, 3]),
            (Body::Line(line), Some(layer)) => Self::kernel(&line.convolutions, layer, dims, &[]),
            _ => Self { dims, order: None },
        }
    }

    /// A kernel \[places × in, out\] as \[out, in, places\].
    fn kernel(
        convolutions: &[crate::network::Convolution],
        layer: &str,
        dims: Vec<usize>,
        square: &[usize],
    ) -> Self {
        let number = layer.strip_prefix("convolution").and_then(|number| number.parse::<usize>().ok());
        let Some(convolution) = number.and_then(|number| convolutions.get(number)) else {
            return Self { dims, order: None };
        };
        let (places, outputs) = (convolution.windows.size, dims[1]);
        let inputs = dims[0] / places;
        let place = |out: usize, input: usize, at: usize| (at * inputs + input) * outputs + out;
        let order = (0..outputs).flat_map(|out| {
            (0..inputs).flat_map(move |input| (0..places).map(move |at| place(out, input, at)))
        });
        let shape = if square.is_empty() { vec![places] } else { square.to_vec() };
        Self { dims: [vec![outputs, inputs], shape].concat(), order: Some(order.collect()) }
    }

    /// Rows \[positions × channels\] as \[channels × positions\].
    fn flattened(dims: Vec<usize>, channels: usize) -> Self {
        let (positions, width) = (dims[0] / channels, dims[1]);
        let row = |channel: usize, position: usize| (position * channels + channel) * width;
        let rows =
            (0..channels).flat_map(|channel| (0..positions).map(move |position| row(channel, position)));
        Self { dims, order: Some(rows.flat_map(|row| row..row + width).collect()) }
    }

    /// Numbers as ONNX has them.
    pub(crate) fn placed(&self, cells: &[f32]) -> Vec<f32> {
        match &self.order {
            Some(order) => order.iter().map(|at| cells[*at]).collect(),
            None => cells.to_vec(),
        }
    }

    /// Numbers as they are here.
    pub(crate) fn back(&self, cells: &[f32]) -> Vec<f32> {
        let Some(order) = &self.order else { return cells.to_vec() };
        let mut back = vec![0.0; cells.len()];
        order.iter().zip(cells).for_each(|(at, cell)| back[*at] = *cell);
        back
    }
}
