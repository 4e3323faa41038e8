// swift-tools-version: 6.2
import PackageDescription

// One place for compiler policy. Nothing else in this file sets flags.
let policy: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    // Builds for tests: debug ones, and the optimised one of deploy/test, which sets it by hand.
    .define("VERIFY", .when(configuration: .debug)),
    // A lane is one thread, and what it computes in has one owner: that nothing is changed while it is read
    // is checked in builds for tests. In release the checks took a fifth of the time of rows that go through
    // one by one.
    .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

/// A library target. `uses` is the complete list of arrows it may follow; ArchitectureTests compares
/// it with every `import` of the target.
func library(_ name: String, uses: [String] = [], c: [String] = [], exclude: [String] = []) -> Target {
    .target(
        name: name, dependencies: (uses + c).map { .byName(name: $0) }, exclude: exclude,
        swiftSettings: policy)
}

/// A C library of the system, found by pkg-config, installed from Debian.
func system(_ name: String, pkgConfig: String, apt: String) -> Target {
    .systemLibrary(
        name: name,
        path: "Sources/CModules/\(name)",
        pkgConfig: pkgConfig,
        providers: [.apt([apt])]
    )
}

/// Tests are run once: optimising them takes longer than it saves.
func tests(_ name: String, uses: [String], exclude: [String] = []) -> Target {
    .testTarget(
        name: name, dependencies: uses.map { .byName(name: $0) }, exclude: exclude,
        swiftSettings: policy + [.unsafeFlags(["-Onone"], .when(configuration: .release))])
}

let package = Package(
    name: "millrace",
    products: [
        .executable(name: "millrace", targets: ["millrace"]),
        // Preloaded by `millrace bench allocations`.
        .library(name: "AllocationCount", type: .dynamic, targets: ["CAllocationCount"]),
    ],
    targets: [
        // Layer 0: C. Each has exactly one Swift importer.
        system("CYaml", pkgConfig: "yaml-0.1", apt: "libyaml-dev"),
        system("CRdkafka", pkgConfig: "rdkafka", apt: "librdkafka-dev"),
        system("CHiredis", pkgConfig: "hiredis", apt: "libhiredis-dev"),
        system("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
        system("CLzma", pkgConfig: "liblzma", apt: "liblzma-dev"),
        system("CMicrohttpd", pkgConfig: "libmicrohttpd", apt: "libmicrohttpd-dev"),
        system("CCurl", pkgConfig: "libcurl", apt: "libcurl4-openssl-dev"),
        system("COpenssl", pkgConfig: "openssl", apt: "libssl-dev"),
        system("CCrypt", pkgConfig: "libcrypt", apt: "libcrypt-dev"),
        system("CSqlite", pkgConfig: "sqlite3", apt: "libsqlite3-dev"),
        system("CSimdjsonLibrary", pkgConfig: "simdjson", apt: "libsimdjson-dev"),
        .target(
            name: "CSimdjson",
            dependencies: ["CSimdjsonLibrary"],
            path: "Sources/CModules/CSimdjson"
        ),
        .systemLibrary(name: "CMalloc", path: "Sources/CModules/CMalloc"),
        .target(name: "CKernels", path: "Sources/CModules/CKernels", exclude: ["lstm.inc"]),
        .target(name: "CPrefetch", path: "Sources/CModules/CPrefetch"),
        // The console's pages, as bytes.
        .target(name: "CPages", path: "Sources/CModules/CPages"),
        .target(name: "CAllocationCount", path: "Sources/CModules/CAllocationCount"),
        // Layer 1: vocabulary.
        library("Base", c: ["CMalloc"]),
        library("Records", uses: ["Base"]),
        library("Security", uses: ["Base"], c: ["COpenssl", "CCrypt"]),
        library("Http", uses: ["Base"], c: ["CCurl", "CMicrohttpd"]),
        // Layer 2: contracts and pure logic.
        library("State", uses: ["Base", "Records"], c: ["CPrefetch"]),
        library("Models", uses: ["Base"], c: ["CKernels"]),
        library("Topology", uses: ["Base", "Records", "Models"], c: ["CYaml"]),
        library("Dataflow", uses: ["Base", "Records"]),
        library("Formats", uses: ["Base", "Records", "Topology", "Dataflow"], c: ["CSimdjson"]),
        // Layer 3: implementations.
        library(
            "Operators", uses: ["Base", "Records", "State", "Topology", "Dataflow", "Formats", "Models"]),
        library(
            "Connectors",
            uses: ["Base", "Records", "Topology", "Dataflow", "Security"],
            c: ["CRdkafka", "CHiredis", "CZlib", "CLzma"]
        ),
        library("Runtime", uses: ["Base", "Records", "Dataflow"]),
        // What follows committed topics, at its own pace: mail, SMS, webhooks, HBase.
        library(
            "Outlets",
            uses: ["Base", "Records", "Models", "Topology", "Dataflow", "Connectors", "Http", "Security"]),
        // Layer 4: composition.
        library(
            "Engine",
            uses: [
                "Base", "Records", "State", "Topology", "Dataflow", "Formats", "Models", "Operators",
                "Connectors", "Runtime", "Http", "Security", "Outlets",
            ]
        ),
        library(
            "Console",
            uses: [
                "Base", "Records", "Models", "Topology", "Dataflow", "Connectors", "Engine", "Outlets",
                "Http", "Security",
            ],
            c: ["CPages", "CSqlite"],
            exclude: ["openapi.json", "Pages"]
        ),
        // Beside the engine, which imports neither: what feeds it, what shows it, what measures it.
        library("Marketplace", uses: ["Base", "Records", "Dataflow", "Connectors"]),
        library(
            "Demo", uses: ["Base", "Records", "Topology", "Dataflow", "Connectors", "Engine", "Marketplace"]),
        library(
            "Simulation",
            uses: ["Base", "Records", "Topology", "Dataflow", "Operators", "Runtime", "Engine"]
        ),
        library(
            "Bench",
            uses: [
                "Base", "Records", "State", "Topology", "Dataflow", "Formats", "Models", "Operators",
                "Connectors", "Runtime", "Engine", "Marketplace", "Simulation", "Http",
            ]
        ),
        // Layer 5: the command.
        .executableTarget(
            name: "millrace",
            dependencies: [
                "Base", "Records", "Topology", "Models", "Connectors", "Http", "Security", "Outlets",
                "Engine", "Console",
                "Marketplace", "Simulation", "Demo", "Bench",
            ],
            swiftSettings: policy
        ),
        // Tests: one suite per library, then the suites that cross them.
        tests("BaseTests", uses: ["Base"]),
        tests("RecordsTests", uses: ["Base", "Records"]),
        tests("SecurityTests", uses: ["Base", "Security"]),
        tests("HttpTests", uses: ["Base", "Http"]),
        tests(
            "OutletsTests",
            uses: [
                "Base", "Records", "Models", "Topology", "Dataflow", "Connectors", "Http", "Security",
                "Outlets",
            ]),
        tests(
            "ConsoleTests",
            uses: [
                "Base", "Records", "Models", "Topology", "Dataflow", "Connectors", "Engine", "Outlets",
                "Http", "Security",
                "Console",
            ]),
        tests("StateTests", uses: ["Base", "Records", "State"]),
        tests("ModelsTests", uses: ["Base", "Models", "CKernels"], exclude: ["Fixtures", "fixtures.py"]),
        tests(
            "OperatorsTests",
            uses: ["Base", "Records", "State", "Topology", "Dataflow", "Formats", "Operators", "Engine"]),
        tests("TopologyTests", uses: ["Base", "Records", "Topology", "Formats", "Engine"]),
        tests(
            "FormatsTests", uses: ["Base", "Records", "Topology", "Dataflow", "Formats"],
            exclude: ["Fixtures", "fixtures.py"]),
        tests(
            "FileTests", uses: ["Base", "Records", "Topology", "Dataflow", "Formats", "Connectors"],
            exclude: ["Fixtures", "fixtures.py"]),
        tests("MarketplaceTests", uses: ["Base", "Records", "Connectors", "Marketplace"]),
        tests("RuntimeTests", uses: ["Base", "Records", "Dataflow", "Runtime"]),
        tests("KafkaTests", uses: ["Base", "Records", "Topology", "Dataflow", "Connectors"]),
        tests("RedisTests", uses: ["Base", "Records", "Topology", "Dataflow", "Security", "Connectors"]),
        tests(
            "EngineTests",
            uses: [
                "Base", "Records", "Topology", "Dataflow", "Formats", "Models", "Connectors", "Http",
                "Security",
                "Engine",
                "Marketplace",
            ],
            exclude: ["State/Fixtures", "Models"]),
        tests(
            "IntegrationTests",
            uses: [
                "Base", "Records", "Topology", "Dataflow", "Connectors", "Http", "Security", "Outlets",
                "Engine", "Marketplace",
                "millrace",
            ],
            exclude: ["Crash/topology.yaml"]
        ),
        tests("SimulationTests", uses: ["Base", "Simulation"]),
        tests("ArchitectureTests", uses: []),
    ],
    cxxLanguageStandard: .cxx17
)
