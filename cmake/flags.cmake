# SPDX-License-Identifier: BSD-3-Clause
# Compiler flags, in one place.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

set(VIADUCT_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=: \"address,undefined\" or \"thread\"")

# Every target of ours links this one for its warnings.
add_library(viaduct_warnings INTERFACE)
target_compile_options(viaduct_warnings INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings
  -Wcast-align -Wundef)

if(VIADUCT_SANITIZE)
  add_compile_options(-fsanitize=${VIADUCT_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${VIADUCT_SANITIZE})
  if(VIADUCT_SANITIZE MATCHES "thread")
    add_compile_definitions(VD_TSAN)
    if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
      add_compile_options(-Wno-tsan)
    endif()
  endif()
endif()
