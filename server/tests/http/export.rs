//! Data docs as files: whole, and in need of nothing else.

use crate::{site::Site, validations::fill};
use serde_json::Value;
use server::static_site::{ExportError, export};
use std::{collections::BTreeSet, fs, path::Path};

/// What a build of the browser's side leaves, as far as the pages use it.
fn site_root(directory: &Path) {
    for folder in ["pkg", "fonts"] {
        fs::create_dir_all(directory.join(folder)).unwrap();
    }
    fs::write(directory.join("pkg/stockstream.css"), "@font-face{src:url(/fonts/a.woff2)}").unwrap();
    fs::write(directory.join("fonts/a.woff2"), "a font").unwrap();
    fs::write(directory.join("favicon.svg"), "<svg/>").unwrap();
}

fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    html.split(name).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

#[tokio::test]
async fn the_exported_site_is_whole_and_asks_nobody_for_anything() {
    let site = Site::start().await;
    fill(&site).await;
    let (root, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    site_root(root.path());
    let target = target.path().join("not/there/yet");
    let pages = export(site.store(), root.path(), &target).await.unwrap();

    let mut seen = BTreeSet::new();
    let mut waiting = vec![target.join("index.html")];
    while let Some(file) = waiting.pop() {
        let html = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        if !seen.insert(file.clone()) || file.extension().is_none_or(|extension| extension != "html") {
            continue;
        }
        assert!(
            !html.contains("<script") && !html.contains(" src=") && !html.contains("preload"),
            "{}",
            file.display()
        );
        assert!(html.contains("<main"), "{}", file.display());
        for link in attributes(&html, " href=\"") {
            assert!(!link.starts_with('/') && !link.contains(':'), "{link} in {}", file.display());
            if !link.starts_with('#') {
                waiting
                    .push(file.parent().unwrap().join(link).canonicalize().unwrap_or_else(|e| panic!("{link}: {e}")));
            }
        }
    }
    let names: BTreeSet<String> =
        seen.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect();
    for name in ["index.html", "index-show-failed.html", "5.html", "5-show-failed.html", "prices=20=26=20volumes.html"]
    {
        assert!(names.contains(name), "{name} is not reached: {names:?}");
    }
    assert_eq!(pages, names.iter().filter(|name| name.ends_with(".html")).count());

    let run = fs::read_to_string(target.join("runs/5.html")).unwrap();
    assert!(run.contains("2 of 130 unexpected") && run.contains("sparkline-line"));
    let result: Value = serde_json::from_str(&fs::read_to_string(target.join("runs/5.json")).unwrap()).unwrap();
    assert_eq!(result["statistics"]["evaluated_expectations"], 3);
    assert_eq!(fs::read_to_string(target.join("style.css")).unwrap(), "@font-face{src:url(fonts/a.woff2)}");
    assert_eq!(fs::read_to_string(target.join("fonts/a.woff2")).unwrap(), "a font");
}

#[tokio::test]
async fn an_export_that_cannot_be_whole_fails_and_says_why() {
    let site = Site::start().await;
    let (root, target) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let missing = export(site.store(), root.path(), target.path()).await.unwrap_err();
    assert!(matches!(missing, ExportError::Asset { .. }), "{missing}");
    assert!(missing.to_string().contains("--site-root"), "{missing}");
    site_root(root.path());
    sqlx::query("alter table validation_run rename to gone").execute(site.store().pool()).await.unwrap();
    let unread = export(site.store(), root.path(), target.path()).await.unwrap_err();
    assert!(matches!(&unread, ExportError::Page { link, .. } if link == "/quality"), "{unread}");
    assert!(!target.path().join("index.html").exists());
}
