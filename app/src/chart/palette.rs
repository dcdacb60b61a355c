//! The colours of the canvas. They are the design tokens again, because a canvas cannot read `light-dark()`; a test
//! keeps both the same.

use serde::Serialize;

/// Colours of one theme, as CSS colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Palette {
    pub surface: &'static str,
    pub raised: &'static str,
    pub text: &'static str,
    pub muted: &'static str,
    pub border: &'static str,
    /// Text at 12 %.
    pub hairline: &'static str,
    pub accent: &'static str,
    pub warn: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    /// Of studies, in the order in which they were chosen.
    pub lines: [&'static str; 6],
}

pub const DARK: Palette = Palette {
    surface: "#151b23",
    raised: "#1d2530",
    text: "#e6edf3",
    muted: "#9aa7b4",
    border: "#6b7785",
    hairline: "rgba(230,237,243,0.12)",
    accent: "#6cb6ff",
    warn: "#e3b341",
    up: "#3fc380",
    down: "#ff7b72",
    lines: ["#6cb6ff", "#e3b341", "#c297ff", "#56d4dd", "#ff9bce", "#a8c686"],
};

pub const LIGHT: Palette = Palette {
    surface: "#ffffff",
    raised: "#eef1f5",
    text: "#1b2530",
    muted: "#566270",
    border: "#7b8794",
    hairline: "rgba(27,37,48,0.12)",
    accent: "#0b5cad",
    warn: "#8a5a00",
    up: "#0f7b4a",
    down: "#b42318",
    lines: ["#0b5cad", "#8a5a00", "#7a3ec8", "#0a7280", "#b0307a", "#4d6b2f"],
};

/// The palette of a theme; `safe`: with up and down in colours that colour-blind eyes tell apart.
pub fn palette(dark: bool, safe: bool) -> Palette {
    match (dark, safe) {
        (true, false) => DARK,
        (true, true) => Palette { up: "#58a6ff", down: "#f0a04b", ..DARK },
        (false, false) => LIGHT,
        (false, true) => Palette { up: "#1b5fc1", down: "#a35200", ..LIGHT },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canvas_uses_the_design_tokens() {
        let tokens = include_str!("../../../style/_tokens.scss");
        let has = |name: &str, light: &str, dark: &str| {
            let line = format!("--{name}: light-dark({light}, {dark});");
            assert!(tokens.contains(&line), "style/_tokens.scss lacks `{line}`");
        };
        for safe in [false, true] {
            let (light, dark) = (palette(false, safe), palette(true, safe));
            has("surface", light.surface, dark.surface);
            has("raised", light.raised, dark.raised);
            has("text", light.text, dark.text);
            has("muted", light.muted, dark.muted);
            has("border", light.border, dark.border);
            has("accent", light.accent, dark.accent);
            has("warn", light.warn, dark.warn);
            has("up", light.up, dark.up);
            has("down", light.down, dark.down);
        }
        for (index, (light, dark)) in LIGHT.lines.into_iter().zip(DARK.lines).enumerate() {
            has(&format!("line-{}", index + 1), light, dark);
        }
    }
}
