//! CSV: records at exact byte offsets, the meaning of columns, harmless formulas.

pub mod formula;
pub mod header;
pub mod records;
