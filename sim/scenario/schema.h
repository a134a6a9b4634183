// SPDX-License-Identifier: MIT
// What a scenario may say: every section and every step, its parameters, their types and help. The loader, the linter
// and `vtdsim explain steps` all read these tables.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vtd::sim {

enum class Type : std::uint8_t {
  kText,
  kName,      ///< letters, digits, '_' and '-'
  kNumber,    ///< decimal or 0x..., with K, M, G
  kTime,      ///< number and ns, us or ms
  kFlag,      ///< true or false
  kChoice,    ///< one of Param::choices
  kEndpoint,  ///< name of an endpoint
  kMemory,    ///< name of a memory declared by an earlier step
  kDomain,    ///< name of a domain created by an earlier step
  kSource,    ///< requester id bb:dd.f
};

struct Param {
  const char* name;
  Type type;
  bool required;
  const char* help;
  std::string_view choices = {};  ///< separated by '|'
  std::uint64_t min = 0;
  std::uint64_t max = ~std::uint64_t{0};
  std::uint64_t multiple_of = 1;
};

/// A step, or a mapping such as `platform`. A step with a scalar instead of parameters gives its first parameter.
struct Spec {
  const char* name;
  const char* help;
  std::vector<Param> params;
};

[[nodiscard]] const std::vector<Spec>& step_specs();
[[nodiscard]] const Spec* find_step(std::string_view name);
[[nodiscard]] const Spec& platform_spec();
[[nodiscard]] const Spec& capabilities_spec();
[[nodiscard]] const Spec& endpoint_spec();
[[nodiscard]] const Spec& window_spec();
[[nodiscard]] const Spec& expect_spec();
[[nodiscard]] const Spec& fault_spec();

/// The candidate nearest to `word` by edit distance, if it is near enough to be what was meant; else empty.
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace vtd::sim
