/*
 * Mesa's lavapipe, with two features claimed that Debian 12's version lacks.
 * Dawn, which ONNX Runtime's WebGPU provider is built on, refuses a device without dynamic indexing of arrays
 * of images. Our compute shaders bind buffers only. So a Vulkan loader gets this driver, which passes every
 * call on, and answers for these two features itself. Structures are those of vulkan_core.h.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef void (*function)(void);
typedef function (*getter)(void *instance, const char *name);

/* VkPhysicalDeviceFeatures: 55 switches. */
enum { SAMPLED_IMAGES = 34, STORAGE_IMAGES = 36 };
/* Every extensible structure of Vulkan begins so. */
struct header { uint32_t type; struct header *next; };
struct features2 { struct header header; uint32_t features[55]; };
enum { FEATURES_2 = 1000059000 };
struct device_info {
  struct header header;
  uint32_t flags, queues; const void *queue_infos;
  uint32_t layers; const char *const *layer_names;
  uint32_t extensions; const char *const *extension_names;
  uint32_t *features;
};

static void (*next_features)(void *, uint32_t *);
static void (*next_features2)(void *, struct features2 *);
static int (*next_create)(void *, struct device_info *, const void *, void **);

static void *symbol(const char *name) {
  static void *library;
  if (!library) library = dlopen(getenv("LAVAPIPE"), RTLD_NOW | RTLD_LOCAL);
  return library ? dlsym(library, name) : 0;
}

static void set(uint32_t *features, uint32_t value) {
  features[SAMPLED_IMAGES] = features[STORAGE_IMAGES] = value;
}

static void get_features(void *device, uint32_t *features) {
  next_features(device, features);
  set(features, 1);
}

static void get_features2(void *device, struct features2 *result) {
  next_features2(device, result);
  set(result->features, 1);
}

/* Lavapipe refuses a device with features that it does not have. */
static int create_device(void *device, struct device_info *info, const void *allocator, void **result) {
  if (info->features) set(info->features, 0);
  for (struct header *part = info->header.next; part; part = part->next)
    if (part->type == FEATURES_2) set(((struct features2 *)part)->features, 0);
  return next_create(device, info, allocator, result);
}

static function replaced(const char *name, function next) {
  if (!next) return 0;
  if (!strcmp(name, "vkGetPhysicalDeviceFeatures")) return next_features = (void *)next, (function)get_features;
  if (!strncmp(name, "vkGetPhysicalDeviceFeatures2", 28)) return next_features2 = (void *)next, (function)get_features2;
  if (!strcmp(name, "vkCreateDevice")) return next_create = (void *)next, (function)create_device;
  return next;
}

EXPORT function vk_icdGetInstanceProcAddr(void *instance, const char *name) {
  getter next = (getter)symbol("vk_icdGetInstanceProcAddr");
  return next ? replaced(name, next(instance, name)) : 0;
}

EXPORT function vk_icdGetPhysicalDeviceProcAddr(void *instance, const char *name) {
  getter next = (getter)symbol("vk_icdGetPhysicalDeviceProcAddr");
  return next ? replaced(name, next(instance, name)) : 0;
}

EXPORT int vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version) {
  int (*next)(uint32_t *) = (int (*)(uint32_t *))symbol("vk_icdNegotiateLoaderICDInterfaceVersion");
  return next ? next(version) : -9; /* VK_ERROR_INCOMPATIBLE_DRIVER */
}
