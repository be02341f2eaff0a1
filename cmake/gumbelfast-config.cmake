# What find_package(gumbelfast) reads: the target gumbelfast::gumbelfast.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
include("${CMAKE_CURRENT_LIST_DIR}/gumbelfast-targets.cmake")
