//! The widgets of OpenBB Workspace: what they name is there.

use crate::{findings, site::Site};
use serde_json::{Value, json};

#[tokio::test]
async fn every_widget_names_an_endpoint_that_has_what_its_columns_show() {
    let site = Site::start().await;
    site.fill("AMZN", 12).await;
    findings::fill(&site).await;
    let widgets: Value = site.get("/widgets.json").await.ok();
    let widgets = widgets.as_object().unwrap();
    assert_eq!(widgets.len(), 4);
    for (id, widget) in widgets {
        let endpoint = widget["endpoint"].as_str().unwrap().trim_start_matches('/');
        if widget["type"] == "advanced_charting" {
            assert_eq!(widget["data"]["defaultSymbol"], "AMZN", "{id}");
            assert_eq!(site.get(&format!("/{endpoint}/config")).await.ok::<Value>()["supports_marks"], json!(true));
            continue;
        }
        let answer: Value = site.get(&format!("/{endpoint}")).await.ok();
        let rows = widget["data"]["dataKey"].as_str().map_or(&answer, |key| &answer[key]);
        let row = rows[0].as_object().unwrap_or_else(|| panic!("{id} has no rows: {answer}"));
        for column in widget["data"]["table"]["columnsDefs"].as_array().unwrap() {
            assert!(row.contains_key(column["field"].as_str().unwrap()), "{id}: {column} is not in {row:?}");
        }
    }
}

#[tokio::test]
async fn the_app_lays_out_every_widget_once_and_none_over_another() {
    let site = Site::start().await;
    let widgets: Value = site.get("/widgets.json").await.ok();
    let apps: Value = site.get("/apps.json").await.ok();
    let mut placed = Vec::new();
    for (id, tab) in apps[0]["tabs"].as_object().unwrap() {
        assert_eq!(tab["id"], json!(id));
        let mut squares = std::collections::BTreeSet::new();
        for widget in tab["layout"].as_array().unwrap() {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| widget[side].as_u64().unwrap());
            assert!(x + w <= 40, "{widget} is wider than the page");
            for square in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(squares.insert(square), "{widget} is over another");
            }
            placed.push(widget["i"].as_str().unwrap().to_owned());
        }
    }
    placed.sort();
    let mut all: Vec<&String> = widgets.as_object().unwrap().keys().collect();
    all.sort();
    assert!(placed.iter().eq(all), "{placed:?}");
}
