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
    pub up: &'static str,
    pub down: &'static str,
}

pub const DARK: Palette = Palette {
    surface: "#151b23",
    raised: "#1d2530",
    text: "#e6edf3",
    muted: "#9aa7b4",
    border: "#6b7785",
    hairline: "rgba(230,237,243,0.12)",
    accent: "#6cb6ff",
    up: "#3fc380",
    down: "#ff7b72",
};

pub const LIGHT: Palette = Palette {
    surface: "#ffffff",
    raised: "#eef1f5",
    text: "#1b2530",
    muted: "#566270",
    border: "#7b8794",
    hairline: "rgba(27,37,48,0.12)",
    accent: "#0b5cad",
    up: "#0f7b4a",
    down: "#b42318",
};

/// The palette of a theme.
pub fn palette(dark: bool) -> &'static Palette {
    if dark { &DARK } else { &LIGHT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canvas_uses_the_design_tokens() {
        let tokens = include_str!("../../../style/_tokens.scss");
        let pairs = [
            ("surface", LIGHT.surface, DARK.surface),
            ("raised", LIGHT.raised, DARK.raised),
            ("text", LIGHT.text, DARK.text),
            ("muted", LIGHT.muted, DARK.muted),
            ("border", LIGHT.border, DARK.border),
            ("accent", LIGHT.accent, DARK.accent),
            ("up", LIGHT.up, DARK.up),
            ("down", LIGHT.down, DARK.down),
        ];
        for (name, light, dark) in pairs {
            let line = format!("--{name}: light-dark({light}, {dark});");
            assert!(tokens.contains(&line), "style/_tokens.scss lacks `{line}`");
        }
    }
}
