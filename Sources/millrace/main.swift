import Base
import Glibc

Output.prepare()
Heap.keepFreedMemory()
exit(Program.main(Array(CommandLine.arguments.dropFirst())))
