//! `template.yaml`, which the simulation deploys and holds the functions to.

use std::sync::LazyLock;

use serde_yaml_ng::Value;

/// The parsed template. `!GetAtt`, `!Sub` and the like are not resolved.
pub fn template() -> &'static Value {
    static TEMPLATE: LazyLock<Value> = LazyLock::new(|| {
        let text = include_str!("../../template.yaml");
        serde_yaml_ng::from_str(text).expect("template.yaml is YAML")
    });
    &TEMPLATE
}
