//! One page as a file: without scripts and what they need, and with other addresses in its links.
//!
//! It reads the pages that this program renders itself, in which text and attributes are escaped, and no HTML besides.

/// The page without scripts and preloads; a link becomes what `file` makes of it, or stays as it is.
pub(super) fn rewrite(html: &str, mut file: impl FnMut(&str) -> Option<String>) -> String {
    let mut written = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        let (text, from_tag) = rest.split_at(start);
        written.push_str(text);
        if from_tag.starts_with("<script") {
            const END: &str = "</script>";
            rest = from_tag.find(END).map_or("", |at| &from_tag[at + END.len()..]);
            continue;
        }
        let (tag, after) = from_tag.split_at(length_of_tag(from_tag));
        rest = after;
        if !(tag.starts_with("<link") && tag.contains("preload")) {
            with_links(tag, &mut file, &mut written);
        }
    }
    written.push_str(rest);
    written
}

/// Up to the `>` that ends it, which may stand in an attribute before that.
fn length_of_tag(from_tag: &str) -> usize {
    let mut quoted = false;
    let is_comment = from_tag.starts_with("<!");
    for (at, byte) in from_tag.bytes().enumerate() {
        match byte {
            b'"' if !is_comment => quoted = !quoted,
            b'>' if !quoted => return at + 1,
            _ => {}
        }
    }
    from_tag.len()
}

fn with_links(tag: &str, file: &mut impl FnMut(&str) -> Option<String>, written: &mut String) {
    const LINK: &str = " href=\"";
    let parts = tag.find(LINK).and_then(|at| {
        let (before, value) = tag.split_at(at + LINK.len());
        let end = value.find('"')?;
        Some((before, value.split_at(end)))
    });
    let Some((before, (value, after))) = parts else {
        written.push_str(tag);
        return;
    };
    written.push_str(before);
    match file(&value.replace("&amp;", "&")) {
        Some(name) => written.push_str(&name),
        None => written.push_str(value),
    }
    written.push_str(after);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_preloads_go_and_links_are_renamed() {
        let html = "<!DOCTYPE html><link rel=\"modulepreload\" href=\"/a.js\"><script nonce=\"x\">let a = \"<a href='/q'>\";\
                    </script><p title=\"a > b\">1 &lt; 2<!----></p><a rel=\"external\" href=\"/q?a=1&amp;b=2\" id=\"x\">Q</a>\
                    <a href=\"/other\">O</a>";
        let written = rewrite(html, |link| (link == "/q?a=1&b=2").then(|| "q.html".to_owned()));
        assert_eq!(
            written,
            "<!DOCTYPE html><p title=\"a > b\">1 &lt; 2<!----></p><a rel=\"external\" href=\"q.html\" id=\"x\">Q</a>\
             <a href=\"/other\">O</a>"
        );
    }

    #[test]
    fn a_page_that_ends_too_early_is_no_panic() {
        for html in ["<", "<a href=\"", "<script>", "text", "<a href=\"/x", "<!--"] {
            rewrite(html, |_| Some("y".to_owned()));
        }
    }
}
