# embed_assets(<variable> <folder>...): writes one C++ file that carries every page file of the
# folders by .incbin, and puts its path into <variable>. A changed file is embedded again by the next
# build; a new one makes CMake run again.
function(embed_assets variable)
  set(table "")
  set(blobs "")
  set(index 0)
  set(inputs "")
  foreach(folder IN LISTS ARGN)
    set(patterns "")
    foreach(extension html js css svg png ico webmanifest)
      list(APPEND patterns "${folder}/*.${extension}")
    endforeach()
    file(GLOB_RECURSE files CONFIGURE_DEPENDS ${patterns})
    list(FILTER files EXCLUDE REGEX "node_modules")
    list(SORT files)
    foreach(file IN LISTS files)
      file(RELATIVE_PATH name ${PROJECT_SOURCE_DIR} ${file})
      string(APPEND blobs
        "asm(\".section .rodata\\n.balign 16\\nbedside_asset_${index}:\\n.incbin \\\"${file}\\\"\\n\"\n"
        "    \"bedside_asset_${index}_end:\\n.byte 0\\n.previous\\n\");\n"
        "extern const char bedside_asset_${index}[] asm(\"bedside_asset_${index}\");\n"
        "extern const char bedside_asset_${index}_end[] asm(\"bedside_asset_${index}_end\");\n")
      string(APPEND table
        "    {\"${name}\", bedside_asset_${index}, bedside_asset_${index}_end},\n")
      math(EXPR index "${index} + 1")
      list(APPEND inputs ${file})
    endforeach()
  endforeach()
  # An array cannot be empty; the last row is never looked at.
  string(CONCAT content
    "// Written by server/embed_assets.cmake.\n#include \"server/embedded_assets.h\"\n\n${blobs}\n"
    "namespace bedside::server {\nnamespace {\nconst EmbeddedAsset kAssets[] = {\n${table}"
    "    {\"\", nullptr, nullptr},\n};\n}  // namespace\n\n"
    "std::span<const EmbeddedAsset> embedded_assets() { return {kAssets, ${index}}; }\n\n"
    "}  // namespace bedside::server\n")
  set(output ${CMAKE_CURRENT_BINARY_DIR}/embedded_assets.cpp)
  file(CONFIGURE OUTPUT ${output} CONTENT "${content}" @ONLY)
  set_source_files_properties(${output} PROPERTIES
    OBJECT_DEPENDS "${inputs}"
    SKIP_UNITY_BUILD_INCLUSION ON) # a file of several would not depend on the pages
  set(${variable} ${output} PARENT_SCOPE)
endfunction()
