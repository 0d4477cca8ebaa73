//! A font of this machine for bitmaps.

use ab_glyph::{Font, FontVec, PxScale, ScaleFont, point};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Fonts to look for, the best first.
const NAMES: [&str; 5] =
    ["DejaVuSans.ttf", "LiberationSans-Regular.ttf", "NotoSans-Regular.ttf", "FreeSans.ttf", "Arial.ttf"];

/// Folders to look into, with those inside them.
const FOLDERS: [&str; 4] =
    ["/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts"];

/// How deep folders are looked into.
const DEPTH: usize = 5;

/// The best font of this machine, if it has one; looked for once.
pub(super) fn find_font() -> Option<&'static FontVec> {
    static FONT: OnceLock<Option<FontVec>> = OnceLock::new();
    FONT.get_or_init(|| find(&FOLDERS.map(PathBuf::from)).iter().find_map(|path| load(path))).as_ref()
}

fn load(path: &Path) -> Option<FontVec> {
    FontVec::try_from_vec(fs::read(path).ok()?).ok()
}

/// Calls `dot` with every pixel that a line of text covers and how much of it, between 0 and 1. The text starts
/// at 0 and stands on the line 0; `size` is the height of its em in pixels. Returns the width.
pub(super) fn rasterize(font: &FontVec, text: &str, size: f32, mut dot: impl FnMut(i32, i32, f32)) -> f32 {
    let units = font.units_per_em().unwrap_or(1000.0);
    let scale = PxScale::from(size * font.height_unscaled() / units);
    let scaled = font.as_scaled(scale);
    let (mut x, mut previous) = (0.0, None);
    for id in text.chars().map(|c| font.glyph_id(c)) {
        x += previous.map_or(0.0, |p| scaled.kern(p, id));
        if let Some(outline) = font.outline_glyph(id.with_scale_and_position(scale, point(x, 0.0))) {
            let corner = outline.px_bounds().min;
            outline
                .draw(|dx, dy, cover| dot(corner.x as i32 + dx as i32, corner.y as i32 + dy as i32, cover));
        }
        x += scaled.h_advance(id);
        previous = Some(id);
    }
    x
}

/// The fonts of [`NAMES`] under the folders, the best first.
fn find(folders: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        walk(folder, DEPTH, &mut found);
    }
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<(usize, PathBuf)>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|e| e.path()) {
        let rank = NAMES.iter().position(|name| path.file_name().is_some_and(|f| f == *name));
        match rank {
            Some(rank) => found.push((rank, path)),
            None if depth > 0 && path.is_dir() => walk(&path, depth - 1, found),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_font_comes_first() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("truetype/x");
        fs::create_dir_all(&deep).unwrap();
        for path in [dir.path().join("FreeSans.ttf"), deep.join("DejaVuSans.ttf"), deep.join("Other.ttf")] {
            fs::write(path, "").unwrap();
        }
        let found = find(&[dir.path().to_owned(), dir.path().join("none")]);
        assert_eq!(found, [deep.join("DejaVuSans.ttf"), dir.path().join("FreeSans.ttf")]);
        assert!(load(&found[0]).is_none(), "an empty file is no font");
    }
}
