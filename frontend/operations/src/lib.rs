//! The WASM entry point of a release for the pages of operations, and nothing else.

/// Called by the loader script once the module is there.
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(app::OperationsPart);
}
