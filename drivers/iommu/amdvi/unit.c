#include "drivers/iommu/driver.h"
const struct iommu_driver amdvi_driver = {0};
