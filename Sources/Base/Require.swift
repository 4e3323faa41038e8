/// Stops the program with `message` when `condition` does not hold, in every build: a `precondition`
/// loses its message in release.
@inlinable @inline(__always)
package func require(
    _ condition: Bool,
    _ message: @autoclosure () -> String,
    file: StaticString = #fileID,
    line: UInt = #line
) {
    if !condition { unreachable(message(), file: file, line: line) }
}

/// A check too dear for the data path of a release build; builds for tests have it.
@inlinable @inline(__always)
package func verify(_ condition: @autoclosure () -> Bool, _ message: @autoclosure () -> String) {
    #if VERIFY
        require(condition(), message())
    #endif
}

@usableFromInline @inline(never)
package func unreachable(_ message: String, file: StaticString = #fileID, line: UInt = #line) -> Never {
    fatalError("millrace: defect: \(message)", file: file, line: line)
}
