#include "faults.h"
#include "fault.h"
bool fault_points_on, fault_mutants_on;
