//! The table of controls: the row of each.

use super::id::ControlId;
use super::list::with_controls;
use super::row::Control;
use crate::controls;

macro_rules! rows {
    ($($id:ident: $module:ident::$row:ident,)*) => {
        impl ControlId {
            /// Its row; `None` for [`ControlId::Verbatim`].
            #[must_use]
            pub fn control(self) -> Option<&'static Control> {
                match self {
                    Self::Verbatim => None,
                    $(Self::$id => Some(&controls::$module::$row),)*
                }
            }
        }

        /// All controls.
        pub const CONTROLS: &[Control] = &[$(controls::$module::$row),*];
    };
}

with_controls!(rows);

impl ControlId {
    /// The id that is written so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        CONTROLS.iter().find(|control| control.name == text).map(|Control { id, .. }| *id)
    }
}

impl Control {
    /// The control with this id.
    #[must_use]
    pub fn find(id: &str) -> Option<&'static Self> {
        CONTROLS.iter().find(|control| control.name == id)
    }
}
