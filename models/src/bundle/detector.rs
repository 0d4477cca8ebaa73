//! A detector as an ONNX graph, and back from it.

use super::graph::{INPUT, SCORES, doubles, ints, node, value, with_int};
use super::proto::{DOUBLE, FLOAT, Graph, INT64, Tensor};
use super::read::{compare, doubles as read_doubles, find};
use crate::detectors::{
    Bins, BoxPlot, CELLS, Detector, EDGES, Ecod, Forest, Hbos, KNOTS, MeanZ, Member, Method, Nearest, Pca,
    Scale, Tail, forest_depth, tail_value,
};
use crate::kitnet::Defect;

/// The graph of a detector: `features` double\[batch, n\] → `rmse` double\[batch\], the score.
pub(crate) fn build(detector: &Detector) -> Graph {
    let mut b = Builder { graph: Graph { name: "detector".into(), ..Graph::default() } };
    b.graph.initializer.push(ints("axis", &[1]));
    if let Some(bins) = detector.bins() {
        b.bins(bins);
    }
    let members = detector.members();
    let scores: Vec<String> = members.iter().map(|member| b.member(member)).collect();
    let joined =
        if detector.tails().is_empty() { scores[0].clone() } else { b.joined(&scores, detector.tails()) };
    // What is not finite makes this sum NaN, and all others have nothing added.
    b.graph.initializer.push(doubles("nothing", &[1], vec![0.0]));
    b.push("Mul", &[INPUT, "nothing"], "unfit.cells");
    b.reduce("ReduceSum", "unfit.cells", "unfit");
    b.push("Add", &[&joined, "unfit"], SCORES);
    b.graph.input = vec![value(INPUT, Some(detector.features()))];
    b.graph.output = vec![value(SCORES, None)];
    b.graph
}

struct Builder {
    graph: Graph,
}

impl Builder {
    fn push(&mut self, op: &str, inputs: &[&str], output: &str) {
        self.graph.node.push(node(op, inputs, output));
    }

    fn doubles(&mut self, name: &str, dims: &[usize], values: Vec<f64>) {
        self.graph.initializer.push(doubles(name, dims, values));
    }

    /// A reduction of the second dimension, which goes.
    fn reduce(&mut self, op: &str, input: &str, output: &str) {
        let node = node(op, &[input, "axis"], output);
        self.graph.node.push(with_int(node, "keepdims", 0));
    }

    /// The cells of each feature, as rows of the tables that are looked up.
    fn bins(&mut self, bins: &Bins) {
        let (features, edges) = (bins.edges.len(), bins.edges.as_flattened());
        let bytes = edges.iter().flat_map(|edge| edge.to_le_bytes()).collect();
        let dims = vec![features as i64, EDGES as i64];
        let tensor = Tensor { dims, data_type: FLOAT, name: "bins.edges".into(), raw_data: bytes };
        let firsts: Vec<i64> = (0..features).map(|feature| (feature * CELLS) as i64).collect();
        self.graph.initializer.extend([tensor, ints("bins.axis", &[2]), ints("bins.first", &firsts)]);
        let cast = |input, to, output| with_int(node("Cast", &[input], output), "to", i64::from(to));
        self.graph.node.push(cast(INPUT, FLOAT, "bins.rounded"));
        self.push("Unsqueeze", &["bins.rounded", "bins.axis"], "bins.values");
        self.push("GreaterOrEqual", &["bins.values", "bins.edges"], "bins.above");
        self.graph.node.push(cast("bins.above", INT64, "bins.counted"));
        let sum = node("ReduceSum", &["bins.counted", "bins.axis"], "bins.numbers");
        self.graph.node.push(with_int(sum, "keepdims", 0));
        self.push("Add", &["bins.numbers", "bins.first"], "bins.cells");
    }

    /// The score of a member; gives its name.
    fn member(&mut self, member: &Member) -> String {
        let name = member.method().label();
        let n = |part: &str| format!("{name}.{part}");
        match member {
            Member::Ecod(Ecod { table }) | Member::Hbos(Hbos { table }) => {
                let cells = table.as_flattened().to_vec();
                self.doubles(&n("table"), &[cells.len()], cells);
                self.push("Gather", &[&n("table"), "bins.cells"], &n("added"));
                self.reduce("ReduceSum", &n("added"), &n("score"));
            }
            Member::Pca(pca) => self.pca(pca, &n),
            Member::MeanZ(mean_z) => {
                self.scaled(&mean_z.scale, &n);
                self.push("Abs", &[&n("z")], &n("distance"));
                self.reduce("ReduceMean", &n("distance"), &n("score"));
            }
            Member::BoxPlot(plot) => self.box_plot(plot, &n),
            Member::Nearest(nearest) => self.nearest(nearest, &n),
            Member::Forest(forest) => self.forest(forest, &n),
        }
        n("score")
    }

    /// Standardised features.
    fn scaled(&mut self, scale: &Scale, n: &dyn Fn(&str) -> String) {
        self.scaled_of(INPUT, scale, n);
    }

    /// The same of what stands in the place of features.
    fn scaled_of(&mut self, features: &str, scale: &Scale, n: &dyn Fn(&str) -> String) {
        self.doubles(&n("mean"), &[scale.mean.len()], scale.mean.clone());
        self.doubles(&n("inverse"), &[scale.inverse.len()], scale.inverse.clone());
        self.push("Sub", &[features, &n("mean")], &n("offset"));
        self.push("Mul", &[&n("offset"), &n("inverse")], &n("z"));
    }

    fn pca(&mut self, pca: &Pca, n: &dyn Fn(&str) -> String) {
        let features = if pca.logarithmic { self.logarithms(n) } else { INPUT.into() };
        self.scaled_of(&features, &pca.scale, n);
        let dims = [pca.components.len(), pca.scale.mean.len()];
        self.doubles(&n("components"), &dims, pca.components.concat());
        self.push("Transpose", &[&n("components")], &n("components_t"));
        self.push("MatMul", &[&n("z"), &n("components_t")], &n("y"));
        // Components are orthonormal: what they do not hold is the difference of the squares.
        self.reduce("ReduceSumSquare", &n("z"), &n("all"));
        self.reduce("ReduceSumSquare", &n("y"), &n("held"));
        self.push("Sub", &[&n("all"), &n("held")], &n("difference"));
        self.doubles(&n("zero"), &[1], vec![0.0]);
        self.push("Max", &[&n("difference"), &n("zero")], &n("rest"));
        self.doubles(&n("count"), &[1], vec![pca.scale.mean.len() as f64]);
        self.push("Div", &[&n("rest"), &n("count")], &n("mse"));
        self.push("Sqrt", &[&n("mse")], &n("score"));
    }

    /// log2(1 + |x|), linear between powers of two, with the sign of each feature; gives its name. Where rounding finds the power beside
    /// the right one, the value is the same, since the pieces meet.
    fn logarithms(&mut self, n: &dyn Fn(&str) -> String) -> String {
        let numbers = [("unit", 1.0), ("two", 2.0), ("ln2", std::f64::consts::LN_2)];
        numbers.iter().for_each(|(part, value)| self.doubles(&n(part), &[1], vec![*value]));
        self.push("Abs", &[INPUT], &n("size"));
        self.push("Add", &[&n("size"), &n("unit")], &n("above"));
        self.push("Log", &[&n("above")], &n("natural"));
        self.push("Div", &[&n("natural"), &n("ln2")], &n("binary"));
        self.push("Floor", &[&n("binary")], &n("exponent"));
        self.push("Pow", &[&n("two"), &n("exponent")], &n("power"));
        self.push("Div", &[&n("above"), &n("power")], &n("fraction"));
        self.push("Add", &[&n("exponent"), &n("fraction")], &n("sum"));
        self.push("Sub", &[&n("sum"), &n("unit")], &n("unsigned"));
        self.push("Sign", &[INPUT], &n("sign"));
        self.push("Mul", &[&n("unsigned"), &n("sign")], &n("logarithms"));
        n("logarithms")
    }

    fn box_plot(&mut self, plot: &BoxPlot, n: &dyn Fn(&str) -> String) {
        let parts = [("low", &plot.low), ("high", &plot.high), ("inverse", &plot.inverse)];
        parts.iter().for_each(|(part, values)| self.doubles(&n(part), &[values.len()], values.to_vec()));
        self.doubles(&n("zero"), &[1], vec![0.0]);
        self.push("Sub", &[&n("low"), INPUT], &n("below"));
        self.push("Sub", &[INPUT, &n("high")], &n("above"));
        self.push("Max", &[&n("below"), &n("above"), &n("zero")], &n("distance"));
        self.push("Mul", &[&n("distance"), &n("inverse")], &n("ranges"));
        self.reduce("ReduceMean", &n("ranges"), &n("score"));
    }

    fn nearest(&mut self, nearest: &Nearest, n: &dyn Fn(&str) -> String) {
        self.scaled(&nearest.scale, n);
        let dims = [nearest.centres.len(), nearest.scale.mean.len()];
        self.doubles(&n("centres"), &dims, nearest.centres.concat());
        self.graph.initializer.push(ints(&n("last"), &[2]));
        self.push("Unsqueeze", &[&n("z"), "axis"], &n("rows"));
        self.push("Sub", &[&n("rows"), &n("centres")], &n("deviation"));
        self.push("Mul", &[&n("deviation"), &n("deviation")], &n("square"));
        let mean = node("ReduceMean", &[&n("square"), &n("last")], &n("mse"));
        self.graph.node.push(with_int(mean, "keepdims", 0));
        self.reduce("ReduceMin", &n("mse"), &n("least"));
        self.push("Sqrt", &[&n("least")], &n("score"));
    }

    /// All trees step by step, from the roots to the leaves, at which the way stands still.
    fn forest(&mut self, forest: &Forest, n: &dyn Fn(&str) -> String) {
        let whole = |values: &[u32]| values.iter().map(|v| i64::from(*v)).collect::<Vec<_>>();
        let side = |side: usize| forest.next.iter().map(|next| i64::from(next[side])).collect::<Vec<_>>();
        let roots = whole(&forest.roots);
        for (part, values) in
            [("roots", &roots), ("feature", &whole(&forest.feature)), ("left", &side(0)), ("right", &side(1))]
        {
            self.graph.initializer.push(ints(&n(part), values));
        }
        let nodes = forest.feature.len();
        self.doubles(&n("threshold"), &[nodes], forest.threshold.clone());
        self.doubles(&n("length"), &[nodes], forest.length.clone());
        self.doubles(&n("factor"), &[1], vec![forest.factor]);
        self.doubles(&n("one"), &[1], vec![1.0]);
        self.graph.initializer.push(ints(&n("first"), &[0]));
        // A root for each tree of each row.
        self.graph.node.push(with_int(node("Gather", &[INPUT, &n("first")], &n("one_cell")), "axis", 1));
        self.push("IsNaN", &[&n("one_cell")], &n("is_nan"));
        self.graph.node.push(with_int(node("Cast", &[&n("is_nan")], &n("whole")), "to", i64::from(INT64)));
        self.push("Sub", &[&n("whole"), &n("whole")], &n("zero"));
        self.push("Add", &[&n("zero"), &n("roots")], &n("at0"));
        for step in 0..forest.depth {
            let s = |part: &str| n(&format!("{part}{step}"));
            self.push("Gather", &[&n("feature"), &s("at")], &s("looked_at"));
            let cells = node("GatherElements", &[INPUT, &s("looked_at")], &s("cells"));
            self.graph.node.push(with_int(cells, "axis", 1));
            self.push("Gather", &[&n("threshold"), &s("at")], &s("thresholds"));
            self.push("Greater", &[&s("cells"), &s("thresholds")], &s("is_right"));
            self.push("Gather", &[&n("left"), &s("at")], &s("lefts"));
            self.push("Gather", &[&n("right"), &s("at")], &s("rights"));
            self.push("Where", &[&s("is_right"), &s("rights"), &s("lefts")], &n(&format!("at{}", step + 1)));
        }
        self.push("Gather", &[&n("length"), &n(&format!("at{}", forest.depth))], &n("lengths"));
        self.reduce("ReduceMean", &n("lengths"), &n("mean"));
        self.push("Mul", &[&n("mean"), &n("factor")], &n("part"));
        self.push("Sub", &[&n("one"), &n("part")], &n("score"));
    }

    /// The highest of the tails and the mean of all; gives its name.
    fn joined(&mut self, scores: &[String], tails: &[Tail]) -> String {
        // Behind the last knot, and before the first one, nothing rises.
        let values = std::iter::once(0.0).chain((0..KNOTS).map(tail_value)).collect();
        self.doubles("tails.values", &[KNOTS + 1], values);
        for (score, tail) in scores.iter().zip(tails) {
            let n = |part: &str| format!("{score}.{part}");
            let knots = tail.scores().to_vec();
            let slopes = std::iter::once(0.0).chain(tail.slopes().iter().copied()).collect();
            let origins = std::iter::once(knots[0]).chain(knots.iter().copied()).collect();
            self.doubles(&n("knots"), &[KNOTS], knots);
            self.doubles(&n("slopes"), &[KNOTS + 1], slopes);
            self.doubles(&n("origins"), &[KNOTS + 1], origins);
            self.push("Unsqueeze", &[score, "axis"], &n("column"));
            self.push("GreaterOrEqual", &[&n("column"), &n("knots")], &n("above"));
            self.graph.node.push(with_int(
                node("Cast", &[&n("above")], &n("counted")),
                "to",
                i64::from(INT64),
            ));
            self.reduce("ReduceSum", &n("counted"), &n("knot"));
            self.push("Gather", &["tails.values", &n("knot")], &n("value"));
            self.push("Gather", &[&n("slopes"), &n("knot")], &n("slope"));
            self.push("Gather", &[&n("origins"), &n("knot")], &n("origin"));
            self.push("Sub", &[score, &n("origin")], &n("beyond"));
            self.push("Mul", &[&n("beyond"), &n("slope")], &n("rise"));
            self.push("Add", &[&n("value"), &n("rise")], &n("tail"));
        }
        let tails: Vec<String> = scores.iter().map(|score| format!("{score}.tail")).collect();
        let tails: Vec<&str> = tails.iter().map(String::as_str).collect();
        self.push("Max", &tails, "tails.highest");
        self.doubles("tails.count", &[1], vec![tails.len() as f64]);
        self.push("Sum", &tails, "tails.sum");
        self.push("Div", &["tails.sum", "tails.count"], "tails.mean");
        self.push("Add", &["tails.highest", "tails.mean"], "tails.joined");
        "tails.joined".into()
    }
}

/// Reads a detector, then writes it again and compares, so that another runtime computes what the native kernel computes.
pub(crate) fn read(graph: &Graph, method: Method, typical: Vec<f64>) -> Result<Detector, Defect> {
    let reader = Reader { graph, features: typical.len() };
    let binned = |method: &Method| matches!(method, Method::Ecod | Method::Hbos);
    let methods = method.members();
    let bins = methods.iter().any(binned).then(|| reader.bins()).transpose()?;
    let members = methods.iter().map(|method| reader.member(*method)).collect::<Result<Vec<_>, _>>()?;
    let tails = if methods.len() > 1 { methods.as_slice() } else { &[] };
    let tails = tails.iter().map(|method| reader.tail(*method)).collect::<Result<Vec<_>, _>>()?;
    let detector = Detector::new(method, typical, bins, members, tails)?;
    compare(graph, &build(&detector))?;
    Ok(detector)
}

struct Reader<'a> {
    graph: &'a Graph,
    features: usize,
}

impl Reader<'_> {
    fn doubles(&self, name: &str, len: usize) -> Result<Vec<f64>, Defect> {
        read_doubles(self.graph, name, Some(len))
    }

    /// Rows of `width` doubles each.
    fn rows(&self, name: &str, width: usize) -> Result<Vec<Vec<f64>>, Defect> {
        let tensor = find(self.graph, name)?;
        let (values, rest) = tensor.raw_data.as_chunks();
        let values: Vec<f64> = values.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        if tensor.data_type != DOUBLE || !rest.is_empty() || !values.len().is_multiple_of(width.max(1)) {
            return Err(Defect::new(name, "is not a tensor of rows of doubles"));
        }
        Ok(values.chunks_exact(width.max(1)).map(<[f64]>::to_vec).collect())
    }

    /// Whole numbers from 0 on.
    fn whole(&self, name: &str) -> Result<Vec<u32>, Defect> {
        let tensor = find(self.graph, name)?;
        let (values, rest) = tensor.raw_data.as_chunks();
        let wrong = || Defect::new(name, "is not a tensor of whole numbers");
        if tensor.data_type != INT64 || !rest.is_empty() {
            return Err(wrong());
        }
        values.iter().map(|bytes| u32::try_from(i64::from_le_bytes(*bytes)).map_err(|_| wrong())).collect()
    }

    fn bins(&self) -> Result<Bins, Defect> {
        let tensor = find(self.graph, "bins.edges")?;
        let (values, rest) = tensor.raw_data.as_chunks();
        let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let (edges, left) = values.as_chunks::<EDGES>();
        if tensor.data_type != FLOAT || !rest.is_empty() || !left.is_empty() || edges.len() != self.features {
            return Err(Defect::new("bins.edges", "are not 31 floats of each feature"));
        }
        Ok(Bins { edges: edges.to_vec() })
    }

    fn member(&self, method: Method) -> Result<Member, Defect> {
        let n = |part: &str| format!("{method}.{part}");
        Ok(match method {
            Method::Ecod => Member::Ecod(Ecod { table: self.table(&n("table"))? }),
            Method::Hbos => Member::Hbos(Hbos { table: self.table(&n("table"))? }),
            Method::Pca | Method::LogPca => {
                let components = self.rows(&n("components"), self.features)?;
                Member::Pca(Pca::new(self.scale(&n)?, components, method == Method::LogPca))
            }
            Method::MeanZ => Member::MeanZ(MeanZ { scale: self.scale(&n)? }),
            Method::NearestNeighbour => Member::Nearest(Nearest {
                scale: self.scale(&n)?,
                centres: self.rows(&n("centres"), self.features)?,
            }),
            Method::BoxPlot => {
                let part = |part| self.doubles(&n(part), self.features);
                Member::BoxPlot(BoxPlot { low: part("low")?, high: part("high")?, inverse: part("inverse")? })
            }
            Method::IsolationForest => Member::Forest(self.forest(&n)?),
            Method::Ensemble => {
                return Err(Defect::new("legonf.detector", "an ensemble is no member of another"));
            }
        })
    }

    fn scale(&self, n: &dyn Fn(&str) -> String) -> Result<Scale, Defect> {
        let part = |part| self.doubles(&n(part), self.features);
        Ok(Scale { mean: part("mean")?, inverse: part("inverse")? })
    }

    fn table(&self, name: &str) -> Result<Vec<[f64; CELLS]>, Defect> {
        let cells = self.doubles(name, self.features * CELLS)?;
        Ok(cells.as_chunks().0.to_vec())
    }

    fn forest(&self, n: &dyn Fn(&str) -> String) -> Result<Forest, Defect> {
        let (feature, sides) =
            (self.whole(&n("feature"))?, [self.whole(&n("left"))?, self.whole(&n("right"))?]);
        let [left, right] = sides;
        let nodes = feature.len();
        let next: Vec<_> = left.into_iter().zip(right).map(|(left, right)| [left, right]).collect();
        Ok(Forest {
            roots: self.whole(&n("roots"))?,
            feature,
            threshold: self.doubles(&n("threshold"), nodes)?,
            depth: forest_depth(&next),
            next,
            length: self.doubles(&n("length"), nodes)?,
            factor: self.doubles(&n("factor"), 1)?[0],
        })
    }

    fn tail(&self, method: Method) -> Result<Tail, Defect> {
        let name = format!("{method}.score.knots");
        let scores = self.doubles(&name, KNOTS)?;
        let scores = scores.try_into().map_err(|_| Defect::new(name, "is of another length"))?;
        Ok(Tail::new(scores))
    }
}
