//! Data docs as files: whole, and in need of nothing else.

use crate::{
    site::Site,
    validations::{at, fill, found, named},
};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header},
};
use serde_json::Value;
use server::{
    static_site::{ExportError, Target, export},
    store::Cause,
};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, Mutex},
};
use url::Url;

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
    let pages = export(site.store(), None, root.path(), &Target::directory(&target).unwrap()).await.unwrap();

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
    let directory = Target::directory(target.path()).unwrap();
    let missing = export(site.store(), None, root.path(), &directory).await.unwrap_err();
    assert!(matches!(missing, ExportError::Asset { .. }), "{missing}");
    assert!(missing.to_string().contains("--site-root"), "{missing}");
    site_root(root.path());
    sqlx::query("alter table validation_run rename to gone").execute(site.store().pool()).await.unwrap();
    let unread = export(site.store(), None, root.path(), &directory).await.unwrap_err();
    assert!(matches!(&unread, ExportError::Page { link, .. } if link == "/quality"), "{unread}");
    assert!(!target.path().join("index.html").exists());
}

/// What a bucket was asked to keep, one request after the other.
#[derive(Clone, Debug)]
struct Put {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Put {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A double of an object storage: takes what is signed as S3 wants it, and refuses what `refuse` is part of.
#[derive(Clone, Default)]
struct Bucket {
    puts: Arc<Mutex<Vec<Put>>>,
    refuse: Arc<Mutex<Option<&'static str>>>,
}

impl Bucket {
    /// Gives its address back.
    async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    fn target(address: &str) -> Target {
        let environment = [
            ("AWS_ACCESS_KEY_ID", "the-key"),
            ("AWS_SECRET_ACCESS_KEY", "the-secret"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", address),
            ("AWS_ALLOW_HTTP", "true"),
            ("AWS_PAGER", "less"),
            ("PATH", "/bin"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Target::bucket(&Url::parse("s3://stock-docs/quality/daily/").unwrap(), environment).unwrap()
    }

    fn puts(&self) -> Vec<Put> {
        self.puts.lock().unwrap().clone()
    }

    /// What is in it: the last content of each name.
    fn content(&self) -> BTreeMap<String, Bytes> {
        self.puts().into_iter().map(|put| (put.path, put.body)).collect()
    }
}

async fn take(
    State(bucket): State<Bucket>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, [(HeaderName, &'static str); 1]) {
    let tag = [(header::ETAG, "\"a-tag\"")];
    assert_eq!(method, Method::PUT, "{uri}");
    let path = uri.path().to_owned();
    let refused = bucket.refuse.lock().unwrap().is_some_and(|part| path.contains(part));
    if refused {
        return (StatusCode::FORBIDDEN, tag);
    }
    bucket.puts.lock().unwrap().push(Put { path, headers, body });
    (StatusCode::OK, tag)
}

#[tokio::test]
async fn a_bucket_gets_the_site_with_its_kinds_signed_and_the_first_page_last() {
    let site = Site::start().await;
    fill(&site).await;
    let root = tempfile::tempdir().unwrap();
    site_root(root.path());
    let bucket = Bucket::default();
    let target = Bucket::target(&bucket.start().await);
    let pages = export(site.store(), None, root.path(), &target).await.unwrap();
    assert_eq!(target.show("index.html"), "s3://stock-docs/quality/daily/index.html");

    let puts = bucket.puts();
    for put in &puts {
        assert!(put.path.starts_with("/stock-docs/quality/daily/"), "{}", put.path);
        let signature = put.header("authorization");
        let credential = "AWS4-HMAC-SHA256 Credential=the-key/";
        assert!(
            signature.starts_with(credential) && signature.contains("/eu-central-1/s3/aws4_request"),
            "{signature}"
        );
        assert!(!signature.contains("the-secret"));
        let digest: String = Sha256::digest(&put.body).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(put.header("x-amz-content-sha256"), digest, "{}", put.path);
        let ending = put.path.rsplit_once('.').unwrap().1;
        let (kind, cache) = match ending {
            "html" => ("text/html; charset=utf-8", "no-cache"),
            "css" => ("text/css; charset=utf-8", "no-cache"),
            "json" => ("application/json", ""),
            "svg" => ("image/svg+xml", ""),
            "woff2" => ("font/woff2", ""),
            other => panic!("{other}"),
        };
        assert_eq!(
            (put.header(header::CONTENT_TYPE.as_str()), put.header("cache-control")),
            (kind, cache),
            "{}",
            put.path
        );
    }
    assert_eq!(puts.iter().filter(|put| put.path.ends_with(".html")).count(), pages);
    let place = |name: &str| puts.iter().position(|put| put.path.ends_with(name)).unwrap_or_else(|| panic!("{name}"));
    assert_eq!(place("/daily/index.html"), puts.len() - 1, "who finds it finds all of it");
    let suite = place("prices%3D20%3D26%3D20volumes.html");
    let run = puts.iter().rposition(|put| put.path.contains("/runs/")).unwrap();
    assert!(run < suite && suite < place("/index-show-failed.html"), "a page comes after those that it links to");

    // The same as in a directory, file by file.
    let directory = tempfile::tempdir().unwrap();
    export(site.store(), None, root.path(), &Target::directory(directory.path()).unwrap()).await.unwrap();
    for (path, body) in bucket.content() {
        let name = path.strip_prefix("/stock-docs/quality/daily/").unwrap().replace("%3D", "=");
        assert_eq!(fs::read(directory.path().join(&name)).unwrap_or_else(|e| panic!("{name}: {e}")), body, "{name}");
    }

    // Once more: the same names, the same content.
    let before = bucket.content();
    export(site.store(), None, root.path(), &target).await.unwrap();
    assert_eq!((bucket.content(), bucket.puts().len()), (before, 2 * puts.len()));
}

#[tokio::test]
async fn an_upload_that_fails_half_way_leaves_no_first_page() {
    let site = Site::start().await;
    fill(&site).await;
    let root = tempfile::tempdir().unwrap();
    site_root(root.path());
    let bucket = Bucket::default();
    let target = Bucket::target(&bucket.start().await);
    for part in ["runs/3.html", "suites/nothing.html", "style.css"] {
        *bucket.refuse.lock().unwrap() = Some(part);
        let refused = export(site.store(), None, root.path(), &target).await.unwrap_err();
        assert!(matches!(&refused, ExportError::Write { name, .. } if name.contains(part)), "{refused}");
        assert!(!refused.to_string().contains("the-secret"), "{refused}");
        assert!(bucket.puts().iter().all(|put| !put.path.ends_with("/daily/index.html")), "{part}");
    }
}

#[tokio::test]
async fn rows_lead_to_their_candles_on_the_server_that_readers_can_reach() {
    let site = Site::start().await;
    let result = named(found(crate::validations::SUITE, 130, &["-1.50"]));
    site.store().record_validation("source_stock", Cause::Schedule, at(1), at(1), &result).await.unwrap();
    let root = tempfile::tempdir().unwrap();
    site_root(root.path());
    for (server, expected) in [
        (None, None),
        (Some("https://stock.example.com/"), Some("https://stock.example.com/dashboard?a=AMZN#AMZN@2024-01-16T14:31Z")),
    ] {
        let target = tempfile::tempdir().unwrap();
        export(site.store(), server, root.path(), &Target::directory(target.path()).unwrap()).await.unwrap();
        let run = fs::read_to_string(target.path().join("runs/1.html")).unwrap();
        let link = attributes(&run, " href=\"").into_iter().find(|link| link.contains("dashboard"));
        assert_eq!(link, expected);
        assert!(run.contains("AMZN, 16 Jan 2024 09:31:00 EST"), "{run}");
    }
}
