//! Items and parameters of structured fields, as they are written (RFC 9651 §4.1).

use sfv::{ItemSerializer, KeyRef};

/// Writes a bare item.
pub(super) fn write_item<'b>(out: &mut String, item: impl Into<sfv::RefBareItem<'b>>) {
    let _ = ItemSerializer::with_buffer(out).bare_item(item).finish();
}

/// Writes `;key=value`, or `;key` for the value true (RFC 9651 §4.1.1.2).
pub(super) fn write_parameter<'b>(out: &mut String, key: &KeyRef, value: impl Into<sfv::RefBareItem<'b>>) {
    out.push(';');
    out.push_str(key.as_str());
    let value = value.into();
    if value.as_boolean() != Some(true) {
        out.push('=');
        write_item(out, value);
    }
}
