//! What a component imports and exports, read before anything is compiled.
//!
//! This is the deploy-time gate: a file that is no component, that is built to choke a compiler, or that imports more
//! than its grants is refused here with a sentence that says what to do.

use nisse_model::{Grants, hint_to_add};
use wasmparser::{CanonicalFunction, CanonicalOption, Encoding, Parser, Payload};

use crate::capability::{CAPABILITIES, Capability};

/// Largest artifact, in bytes.
pub const ARTIFACT_BYTES_MAX: usize = 32 << 20;
/// Functions in all core modules together.
const FUNCTIONS_MAX: u64 = 100_000;
/// Core modules inside a component.
const MODULES_MAX: u64 = 200;
/// Components inside a component, at any depth.
const COMPONENTS_MAX: u64 = 200;
/// Types, imports, exports, data and element segments, canonical functions: over all modules and components.
const ITEMS_MAX: u64 = 200_000;
/// Code of one function, in bytes.
const FUNCTION_BYTES_MAX: usize = 4 << 20;

/// The version of `nisse:agent` that is offered; any patch of it.
const OFFERED_NISSE: &str = "0.1";
/// The version of WASI that is offered; any patch of it.
const OFFERED_WASI: &str = "0.2";

const HANDLER: &str = "nisse:agent/handler";
const INCOMING_HANDLER: &str = "wasi:http/incoming-handler";

/// What a component asks for and offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Interfaces with their versions, as the component names them.
    pub imports: Vec<String>,
    /// Interfaces with their versions, as the component names them.
    pub exports: Vec<String>,
    /// Functions in all of its core modules.
    pub functions: u64,
}

/// Why a file cannot be an agent's artifact. Each text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// Not WebAssembly at all, or cut off.
    #[error("read the artifact as WebAssembly: {0}")]
    Malformed(String),
    /// A core module.
    #[error(
        "run a core module: nisse runs components; make it one with `wasm-tools component new`, or build with `cargo build --target wasm32-wasip2`"
    )]
    CoreModule,
    /// A component of the next WASI generation.
    #[error(
        "run a component that uses {0}: nisse runs WASI 0.2 components; build it for `wasm32-wasip2` or against `wasi:http@0.2`"
    )]
    Preview3(String),
    /// Larger than anything that is compiled.
    #[error("compile {what}: {found} found, at most {max} are allowed")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        found: u64,
        /// How much is allowed.
        max: u64,
    },
}

/// A component imports what it may not have, or exports nothing to call. The text completes "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportRefused {
    /// nisse offers it, to agents with a permission that this one lacks.
    #[error("link `{import}`: it needs the permission `{permission}`")]
    NotGranted {
        /// As the component names it.
        import: String,
        /// The line of `permissions` that is missing.
        permission: &'static str,
    },
    /// nisse offers another version of it.
    #[error("link `{import}`: nisse offers version {offered} of this interface")]
    Version {
        /// As the component names it.
        import: String,
        /// What a version has to begin with.
        offered: &'static str,
    },
    /// nisse does not offer it.
    #[error("link `{import}`: nisse does not offer this interface to agents")]
    Unknown {
        /// As the component names it.
        import: String,
    },
    /// It exports neither handler.
    #[error(
        "find a handler in the component: it exports neither `nisse:agent/handler@0.1` nor `wasi:http/incoming-handler@0.2`"
    )]
    NoHandler,
}

impl ImportRefused {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::NotGranted { permission, .. } => hint_to_add(permission),
            Self::Version { import, .. } => {
                let wit = if import.starts_with("nisse:") { "wit/agent.wit of this nisse" } else { "WASI 0.2" };
                format!("build the component against {wit}")
            }
            Self::NoHandler => {
                let text = "export one of them: `nisse_sdk::export!` does in Rust, and any toolchain's `wasi:http/proxy` \
                            component has the second";
                text.to_owned()
            }
            Self::Unknown { .. } => {
                let known = CAPABILITIES.iter().flat_map(|capability| capability.interfaces);
                let names: Vec<_> = known.filter(|name| name.starts_with("nisse:")).copied().collect();
                format!("build the component against wit/agent.wit; it offers {} and WASI 0.2", names.join(", "))
            }
        }
    }
}

impl Inspection {
    /// Reads an artifact without compiling or even validating its code.
    pub fn read(artifact: &[u8]) -> Result<Self, InspectError> {
        at_most("an artifact's bytes", artifact.len() as u64, ARTIFACT_BYTES_MAX as u64)?;
        let mut count = Count::default();
        let (mut imports, mut exports) = (Vec::new(), Vec::new());
        // 0 is the component itself; nested modules and components lie deeper.
        let mut depth = 0usize;
        let malformed = |error: wasmparser::BinaryReaderError| InspectError::Malformed(error.to_string());
        for payload in Parser::new(0).parse_all(artifact) {
            match payload.map_err(malformed)? {
                Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                    return Err(InspectError::CoreModule);
                }
                Payload::ModuleSection { .. } => {
                    depth += 1;
                    count.modules += 1;
                }
                Payload::ComponentSection { .. } => {
                    depth += 1;
                    count.components += 1;
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) => {
                    count.items += u64::from(section.count());
                    for import in section.into_iter().take(if depth == 0 { usize::MAX } else { 0 }) {
                        imports.push(import.map_err(malformed)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) => {
                    count.items += u64::from(section.count());
                    for export in section.into_iter().take(if depth == 0 { usize::MAX } else { 0 }) {
                        exports.push(export.map_err(malformed)?.name.name.to_owned());
                    }
                }
                Payload::FunctionSection(section) => count.functions += u64::from(section.count()),
                Payload::CodeSectionEntry(body) => {
                    at_most("a function's bytes", body.range().len() as u64, FUNCTION_BYTES_MAX as u64)?;
                }
                Payload::TypeSection(section) => count.items += u64::from(section.count()),
                Payload::ComponentTypeSection(section) => count.items += u64::from(section.count()),
                Payload::CoreTypeSection(section) => count.items += u64::from(section.count()),
                Payload::ImportSection(section) => count.items += u64::from(section.count()),
                Payload::ExportSection(section) => count.items += u64::from(section.count()),
                Payload::ComponentCanonicalSection(section) => {
                    count.items += u64::from(section.count());
                    for function in section {
                        refuse_async(&function.map_err(malformed)?)?;
                    }
                }
                Payload::DataSection(section) => count.items += u64::from(section.count()),
                Payload::ElementSection(section) => count.items += u64::from(section.count()),
                _ => {}
            }
            count.check()?;
        }
        let inspection = Self { imports, exports, functions: count.functions };
        inspection.refuse_preview3()?;
        Ok(inspection)
    }

    /// Refuses an import that is not granted or not offered, and names it; and a component that nobody could call.
    pub fn check(&self, grants: &Grants) -> Result<(), ImportRefused> {
        for import in &self.imports {
            let Some(capability) = Capability::of_import(import) else {
                return Err(ImportRefused::Unknown { import: import.clone() });
            };
            let offered = if import.starts_with("nisse:") { OFFERED_NISSE } else { OFFERED_WASI };
            if !is_version_of(import, offered) {
                return Err(ImportRefused::Version { import: import.clone(), offered });
            }
            if let (false, Some(permission)) = (capability.need.is_met(grants), capability.need.permission()) {
                return Err(ImportRefused::NotGranted { import: import.clone(), permission });
            }
        }
        if self.handles_events() || self.answers_http() { Ok(()) } else { Err(ImportRefused::NoHandler) }
    }

    /// Whether it exports `nisse:agent/handler`.
    pub fn handles_events(&self) -> bool {
        self.exports.iter().any(|export| names(export, HANDLER))
    }

    /// Whether it exports `wasi:http/incoming-handler`.
    pub fn answers_http(&self) -> bool {
        self.exports.iter().any(|export| names(export, INCOMING_HANDLER))
    }

    fn refuse_preview3(&self) -> Result<(), InspectError> {
        let newer = |name: &&String| name.starts_with("wasi:") && name.contains("@0.3");
        match self.imports.iter().chain(&self.exports).find(newer) {
            Some(name) => Err(InspectError::Preview3(name.clone())),
            None => Ok(()),
        }
    }
}

/// Asynchronous functions are of the next WASI. An engine without them would refuse them too, in words of its own.
fn refuse_async(function: &CanonicalFunction) -> Result<(), InspectError> {
    let is_async = match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => {
            options.contains(&CanonicalOption::Async)
        }
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. } => false,
        _ => true,
    };
    if is_async { Err(InspectError::Preview3("asynchronous functions".to_owned())) } else { Ok(()) }
}

/// Whether an import names a released version that begins with `offered`, which the linker takes for the same.
fn is_version_of(import: &str, offered: &str) -> bool {
    let version = import.split_once('@').map_or("", |(_, version)| version);
    let patch = version.strip_prefix(offered).and_then(|rest| rest.strip_prefix('.'));
    patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

fn names(export: &str, interface: &str) -> bool {
    export.split_once('@').map_or(export, |(name, _)| name) == interface
}

#[derive(Default)]
struct Count {
    functions: u64,
    modules: u64,
    components: u64,
    items: u64,
}

impl Count {
    fn check(&self) -> Result<(), InspectError> {
        at_most("a component's functions", self.functions, FUNCTIONS_MAX)?;
        at_most("a component's core modules", self.modules, MODULES_MAX)?;
        at_most("a component's inner components", self.components, COMPONENTS_MAX)?;
        at_most("a component's types, imports, exports and segments", self.items, ITEMS_MAX)
    }
}

fn at_most(what: &'static str, found: u64, max: u64) -> Result<(), InspectError> {
    if found > max { Err(InspectError::TooLarge { what, found, max }) } else { Ok(()) }
}
