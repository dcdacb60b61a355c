//! The WASM entry point of a development build: hydrates what the server rendered, and nothing else. A release has one per
//! part of the pages: `frontend/dashboard`, `frontend/prices` and `frontend/operations`.

/// Called by the loader script once the module is there.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(app::App);
}

/// Called without a network, in a page that nothing was rendered into.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn mount() {
    console_error_panic_hook::set_once();
    app::offline::mount(app::DashboardPart);
}
