//! Shows a list that the API answered.

use serde_json::Value;

use crate::arguments::Output;
use crate::console::Console;
use crate::table::{Column, table};
use crate::trouble::Trouble;

/// Shows the `items` of a list in columns, or the whole list as JSON.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn show_list(
    list: &Value,
    columns: &[Column],
    if_empty: &str,
    output: Output,
    console: &mut Console<'_>,
) -> Result<(), Trouble> {
    let items = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    match output {
        Output::Json => console.show_json(list),
        Output::Table if items.is_empty() => console.show(if_empty),
        Output::Table => console.show(&table(columns, items)),
    }
}
