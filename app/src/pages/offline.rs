use crate::{components::ReportPage, navigation, query::Theme};
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_location, use_query_map};

/// Any page but the dashboard, when there is no network: their content is the server's.
#[component]
pub fn OfflinePage() -> impl IntoView {
    let (location, query) = (use_location(), use_query_map());
    let theme = Memo::new(move |_| query.with(|query| Theme::parse(query.get_str("theme"))));
    let (path, search) = (location.pathname, location.search);
    let page = path.with_untracked(|path| navigation::current(path));
    let name = page.map_or("Offline", |page| page.name);
    view! {
        <Title text=name />
        <ReportPage
            theme
            link=move |theme| path.with(|path| search.with(|search| navigation::themed(path, search, theme)))
            current=page.map_or("/", |page| page.path)
        >
            <h1>{name}</h1>
            <p>"There is no connection to the server, which has what this page shows. What it said before may be wrong by now."</p>
        </ReportPage>
    }
}
