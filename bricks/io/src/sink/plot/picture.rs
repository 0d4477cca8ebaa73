//! A picture as a list of shapes, and its two file formats.

use super::font;
use crate::sink::file::display;
use crate::sink::{OutputFile, SinkError};
use ab_glyph::FontVec;
use legonf_output::one_line;
use plotters::backend::{BitMapBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{PathElement, Rectangle};
use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, IntoFont, RGBColor, TextStyle};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Pixels of a picture, across and down; one may be [higher](Picture::extend).
pub(super) const SIZE: (u32, u32) = (1200, 600);

/// A rectangle of pixels, its edges included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub left: i32,
    pub top: i32,
    pub right: i32,
    pub bottom: i32,
}

/// How a text is set. Its position is that of its anchor.
#[derive(Clone, Copy)]
pub(super) struct Face {
    /// Height of the em in pixels.
    pub size: i32,
    pub color: RGBColor,
    pub anchor: (HPos, VPos),
    /// Whether it reads from bottom to top.
    pub upright: bool,
}

impl Face {
    /// A text that starts at its position and is centred on it vertically.
    pub const fn new(size: i32, color: RGBColor) -> Self {
        Self { size, color, anchor: (HPos::Left, VPos::Center), upright: false }
    }

    pub const fn anchor(self, across: HPos, down: VPos) -> Self {
        Self { anchor: (across, down), ..self }
    }

    fn on(self, theme: Theme) -> Self {
        Self { color: theme.paint(self.color), ..self }
    }

    /// About how many pixels a text takes; no font is needed to tell.
    pub fn width(self, text: &str) -> i32 {
        text.chars().count() as i32 * self.size * 55 / 100
    }
}

enum Shape {
    Fill(Area, RGBColor),
    Line(Vec<(i32, i32)>, RGBColor),
    Text(String, Face, (i32, i32)),
}

/// The ground that a picture is drawn on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// Dark on white.
    #[default]
    Light,
    /// Light on near black.
    Dark,
}

impl Theme {
    const fn ground(self) -> RGBColor {
        match self {
            Self::Light => plotters::style::WHITE,
            Self::Dark => RGBColor(20, 23, 28),
        }
    }

    /// A color on this ground: of equal contrast, and of the same hue.
    fn paint(self, RGBColor(r, g, b): RGBColor) -> RGBColor {
        if self == Self::Light {
            return RGBColor(r, g, b);
        }
        // Black and white change places; what is added is the same for each part, so that the hue stays.
        let (most, least) = (i16::from(r.max(g).max(b)), i16::from(r.min(g).min(b)));
        let part = |part: u8| (i16::from(part) + 255 - most - least).clamp(38, 255) as u8;
        RGBColor(part(r), part(g), part(b))
    }
}

/// What is drawn, from the back to the front.
#[derive(Default)]
pub(super) struct Picture {
    shapes: Vec<Shape>,
    theme: Theme,
    /// Pixels below those of [`SIZE`].
    more: u32,
}

impl Picture {
    /// An empty one on a ground.
    pub fn on(theme: Theme) -> Self {
        Self { shapes: Vec::new(), theme, more: 0 }
    }

    /// Makes it so many pixels higher.
    pub fn extend(&mut self, more: u32) {
        self.more += more;
    }

    fn size(&self) -> (u32, u32) {
        (SIZE.0, SIZE.1 + self.more)
    }

    /// Fills a rectangle.
    pub fn fill(&mut self, area: Area, color: RGBColor) {
        self.shapes.push(Shape::Fill(area, color));
    }

    /// Draws straight lines of two pixels from point to point.
    pub fn line(&mut self, points: Vec<(i32, i32)>, color: RGBColor) {
        self.shapes.push(Shape::Line(points, color));
    }

    /// Sets a text of one line; control characters, which SVG cannot hold, are shown as escapes.
    pub fn text(&mut self, text: impl AsRef<str>, face: Face, at: (i32, i32)) {
        self.shapes.push(Shape::Text(one_line(text.as_ref()).into_owned(), face, at));
    }

    /// The picture as an SVG document. It names the font family `sans-serif` and needs no font to be made.
    ///
    /// # Errors
    /// [`SinkError::Drawing`] for the file `path`.
    pub fn svg(&self, path: &Path) -> Result<String, SinkError> {
        let mut document = String::new();
        let area = SVGBackend::with_string(&mut document, self.size()).into_drawing_area();
        let text = |text: &str, face: Face, at| area.draw_text(text, &style(face), at);
        self.draw(&area, text).map_err(|e| not_drawn(path, &e))?;
        drop(area);
        if self.theme == Theme::Light
            && let Some(begin) = document.find('>')
        {
            document.insert_str(begin + 1, &format!("\n<style>{}</style>", self.in_the_dark()));
        }
        Ok(document)
    }

    /// Writes the picture as an SVG file.
    ///
    /// # Errors
    /// When it cannot be drawn or written.
    pub fn write_svg(&self, path: &Path) -> Result<(), SinkError> {
        let document = self.svg(path)?;
        let mut out = OutputFile::create(path)?;
        out.put(document.as_bytes())?;
        out.finish()
    }

    /// Rules by which who looks at dark pages sees a light picture on a dark ground.
    fn in_the_dark(&self) -> String {
        let colors = self.shapes.iter().map(|shape| match shape {
            Shape::Fill(_, color) | Shape::Line(_, color) => *color,
            Shape::Text(_, face, _) => face.color,
        });
        let named = |RGBColor(r, g, b): RGBColor| format!("#{r:02X}{g:02X}{b:02X}");
        let ground = (named(Theme::Light.ground()), named(Theme::Dark.ground()));
        let pairs = colors.map(|color| (named(color), named(Theme::Dark.paint(color))));
        let pairs: BTreeMap<_, _> = pairs.chain([ground]).collect();
        let rule = |(light, dark): (&String, &String)| {
            format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}")
        };
        format!("@media (prefers-color-scheme:dark){{{}}}", pairs.iter().map(rule).collect::<String>())
    }

    /// The picture as a PNG file, with its texts if the machine has a `font`.
    ///
    /// # Errors
    /// [`SinkError::Drawing`] for the file `path`.
    pub fn png(&self, path: &Path, font: Option<&FontVec>) -> Result<Vec<u8>, SinkError> {
        let (width, height) = self.size();
        let mut pixels = vec![0; (width * height * 3) as usize];
        let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
        let text = |text: &str, face: Face, at| {
            font.map_or(Ok(()), |font| {
                dots(font, text, face, at, |at, cover| area.draw_pixel(at, &face.color.mix(cover)))
            })
        };
        self.draw(&area, text).map_err(|e| not_drawn(path, &e))?;
        drop(area);
        encode(&pixels, (width, height)).map_err(|e| not_drawn(path, &e))
    }

    fn draw<DB: DrawingBackend>(
        &self,
        area: &DrawingArea<DB, Shift>,
        text: impl Fn(&str, Face, (i32, i32)) -> Result<(), Failure<DB>>,
    ) -> Result<(), Failure<DB>> {
        area.fill(&self.theme.ground())?;
        for shape in &self.shapes {
            match shape {
                Shape::Fill(r, color) => {
                    // Both backends end a rectangle before its right and its bottom edge.
                    let corners = [(r.left, r.top), (r.right + 1, r.bottom + 1)];
                    area.draw(&Rectangle::new(corners, self.theme.paint(*color).filled()))?;
                }
                Shape::Line(points, color) => {
                    area.draw(&PathElement::new(points.clone(), self.theme.paint(*color).stroke_width(2)))?;
                }
                Shape::Text(words, face, at) => text(words, face.on(self.theme), *at)?,
            }
        }
        area.present()
    }
}

type Failure<DB> = DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>;

fn not_drawn(path: &Path, reason: &dyn fmt::Display) -> SinkError {
    SinkError::Drawing { path: display(path), reason: reason.to_string() }
}

/// The style of a text for the SVG backend, which writes the size divided by 1.24.
fn style(face: Face) -> TextStyle<'static> {
    let turn = if face.upright { FontTransform::Rotate270 } else { FontTransform::None };
    let font = ("sans-serif", f64::from(face.size) * 1.24).into_font().transform(turn);
    let pos = Pos::new(face.anchor.0, face.anchor.1);
    TextStyle { font, color: face.color.to_backend_color(), pos }
}

/// Calls `dot` with the pixels of a text and how much it covers of them.
fn dots<E>(
    font: &FontVec,
    text: &str,
    face: Face,
    (x, y): (i32, i32),
    mut dot: impl FnMut((i32, i32), f64) -> Result<(), E>,
) -> Result<(), E> {
    let size = face.size as f32;
    let mut covered = Vec::new();
    let width = font::rasterize(font, text, size, |u, v, cover| covered.push((u, v, cover)));
    let along = match face.anchor.0 {
        HPos::Left => 0.0,
        HPos::Center => -width / 2.0,
        HPos::Right => -width,
    };
    // Where the line on which the text stands is: the heights that SVG uses, in ems.
    let down = match face.anchor.1 {
        VPos::Top => 0.76,
        VPos::Center => 0.33,
        VPos::Bottom => -0.27,
    };
    let (along, down) = (along.round() as i32, (down * size).round() as i32);
    covered.into_iter().try_for_each(|(u, v, cover)| {
        let (u, v) = (u + along, v + down);
        let at = if face.upright { (x + v, y - u) } else { (x + u, y + v) };
        dot(at, f64::from(cover))
    })
}

fn encode(pixels: &[u8], (width, height): (u32, u32)) -> Result<Vec<u8>, png::EncodingError> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Picture {
        let mut picture = Picture::default();
        picture.fill(Area { left: 10, top: 20, right: 10, bottom: 21 }, RGBColor(1, 2, 3));
        picture.text("a < b", Face::new(40, RGBColor(200, 0, 0)), (100, 100));
        picture
    }

    fn pixels(png: &[u8]) -> Vec<[u8; 3]> {
        let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut bytes).unwrap();
        bytes.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect()
    }

    #[test]
    fn svg_has_its_texts_without_a_font() {
        let svg = picture().svg(Path::new("p.svg")).unwrap();
        assert!(svg.contains("a &lt; b") && svg.contains("font-family=\"sans-serif\""));
        assert!(svg.contains("<rect x=\"10\" y=\"20\" width=\"1\" height=\"2\""), "{svg}");
    }

    #[test]
    fn a_dark_picture_has_the_hues_of_a_light_one() {
        let mut dark = Picture::on(Theme::Dark);
        dark.fill(Area { left: 0, top: 0, right: 9, bottom: 9 }, RGBColor(23, 92, 160));
        dark.fill(Area { left: 0, top: 0, right: 9, bottom: 9 }, RGBColor(255, 255, 255));
        let svg = dark.svg(Path::new("p.svg")).unwrap();
        assert_eq!(Theme::Dark.paint(RGBColor(23, 92, 160)), RGBColor(95, 164, 232));
        assert!(svg.contains("#14171C") && svg.contains("#5FA4E8") && svg.contains("#262626"), "{svg}");
    }

    #[test]
    fn png_does_without_a_font() {
        let pixels = pixels(&picture().png(Path::new("p.png"), None).unwrap());
        let inked: Vec<_> = (0..pixels.len()).filter(|i| pixels[*i] != [255; 3]).collect();
        assert_eq!(inked, [20 * 1200 + 10, 21 * 1200 + 10]);
    }

    #[test]
    fn png_sets_texts_at_their_anchor() {
        let Some(font) = font::find_font() else {
            println!("skipped: no font on this machine");
            return;
        };
        let pixels = pixels(&picture().png(Path::new("p.png"), Some(font)).unwrap());
        let red = |i: &usize| pixels[*i][0] > 150 && pixels[*i][1] < 100;
        let inked: Vec<_> = (0..pixels.len()).filter(red).map(|i| (i % 1200, i / 1200)).collect();
        assert!(inked.len() > 100);
        assert!(inked.iter().all(|(x, y)| (100..240).contains(x) && (80..120).contains(y)));
    }
}
