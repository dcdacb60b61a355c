//! The WASM entry point of a release for the dashboard, and nothing else.

/// Called by the loader script once the module is there.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(app::DashboardPart);
}

/// Called without a network, in a page that nothing was rendered into.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn mount() {
    console_error_panic_hook::set_once();
    app::offline::mount(app::DashboardPart);
}
