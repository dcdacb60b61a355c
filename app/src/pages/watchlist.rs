use crate::{
    components::{FreshnessBadge, Nothing, ReportPage, SimulatedTag, WatchSkeleton, WatchTable},
    format,
    live::{Live, worst},
    query::Theme,
    watchlist::{
        self, First, PATH, Watch,
        order::{Asked, MAX_FILTER},
    },
};
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::{
    NavigateOptions,
    hooks::{use_navigate, use_query_map},
};
use market::wire::MAX_SYMBOLS;

/// All symbols in one table, live.
#[component]
pub fn WatchlistPage() -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| query.with(|query| Asked::read(|key| query.get(key))));
    let page = Resource::new_blocking(|| (), |()| watchlist::load());
    let theme = Signal::derive(move || asked.with(|asked| asked.theme));
    view! {
        <Title text="Watchlist" />
        <Meta name="description" content="All symbols with their newest price, change, volume, freshness and quality, live." />
        <ReportPage theme link=move |theme: Theme| asked.get().with_theme(theme).link() current=PATH class="report watchlist">
            <h1>"Watchlist"</h1>
            <Suspense fallback=WatchSkeleton>
                {move || Suspend::new(async move {
                    let first = page.await;
                    view! { <Found first asked /> }
                })}
            </Suspense>
        </ReportPage>
    }
}

#[component]
fn Found(first: First, asked: Memo<Asked>) -> impl IntoView {
    let live = expect_context::<Live>();
    if first.source.is_some() {
        live.source.set(first.source);
    }
    let watch = Watch::new(first.list, live, asked);
    #[cfg(feature = "hydrate")]
    watchlist::follow(watch);
    let nothing = move || watch.shown.with(Vec::is_empty);
    view! {
        <WatchHead watch />
        <p class="watch-trouble" role="status">
            {move || watch.trouble.get().filter(|_| !nothing())}
        </p>
        <WatchTable watch />
        <Show when=nothing>
            {move || match (watch.trouble.get(), watch.names.with(Vec::is_empty)) {
                (Some(why), _) => {
                    view! {
                        <Nothing title=why>
                            <p role="status">"The page stays connected and asks again every five seconds; nothing needs to be reloaded."</p>
                        </Nothing>
                    }
                        .into_any()
                }
                (None, true) if asked.with(|asked| asked.filter.is_empty()) => {
                    view! {
                        <Nothing title="No symbol has a bar yet">
                            <p>"They appear here by themselves as soon as the first row is committed."</p>
                        </Nothing>
                    }
                        .into_any()
                }
                (None, _) => {
                    let clear = move || asked.get().with_filter("").link();
                    view! {
                        <Nothing title=format!("No symbol has {} in its name", asked.with(|asked| asked.filter.clone()))>
                            <p><a href=clear data-noscroll="true">"Show all symbols"</a></p>
                        </Nothing>
                    }
                        .into_any()
                }
            }}
        </Show>
    }
}

/// What is shown: the filter, how many there are, how fresh the whole is.
#[component]
fn WatchHead(watch: Watch) -> impl IntoView {
    let Watch { live, asked, .. } = watch;
    let newest = Memo::new(move |_| watch.heard().into_iter().max_by_key(|heard| heard.received_at));
    let state = Memo::new(move |_| {
        worst(watch.heard().into_iter().filter_map(|heard| live.freshness(Some(heard))))
            .or_else(|| live.freshness(None))
    });
    let navigate = use_navigate();
    let filter = move |text: String| {
        let link = asked.get_untracked().with_filter(&text).link();
        navigate(&link, NavigateOptions { scroll: false, replace: true, ..NavigateOptions::default() });
    };
    let count = move || {
        let (shown, total) = (watch.shown.with(Vec::len) as i64, watch.total.get());
        if shown < total {
            format!("{} of {} symbols", format::count(shown), format::count(total))
        } else {
            format!("{} symbols", format::count(shown))
        }
    };
    let beyond = move || {
        let names = watch.names.with(Vec::len);
        (names > MAX_SYMBOLS)
            .then(|| format!("The first {} tick; the others are asked for every five seconds.", MAX_SYMBOLS))
    };
    view! {
        <form class="watch-head" method="get" action=PATH role="search" on:submit=move |event| event.prevent_default()>
            <label class="watch-filter" for="symbol-filter">
                <span>"Symbols with"</span>
                <input
                    id="symbol-filter"
                    type="search"
                    name="filter"
                    maxlength=MAX_FILTER.to_string()
                    autocomplete="off"
                    autocapitalize="characters"
                    spellcheck="false"
                    value=asked.with_untracked(|asked| asked.filter.clone())
                    prop:value=move || asked.with(|asked| asked.filter.clone())
                    on:input=move |event| filter(event_target_value(&event))
                />
            </label>
            {move || asked.with(|asked| asked.sort_text()).map(|sort| view! { <input type="hidden" name="sort" value=sort /> })}
            {move || asked.with(|asked| asked.theme.name()).map(|theme| view! { <input type="hidden" name="theme" value=theme /> })}
            // For who has no script: a style hides it from the others.
            <button class="button watch-submit" type="submit">"Filter"</button>
            <p class="watch-count" role="status">{count}</p>
            <p class="watch-count">{beyond}</p>
            <span class="watch-state">
                <SimulatedTag />
                <FreshnessBadge state heard=newest id="hops-all" />
            </span>
        </form>
    }
}
