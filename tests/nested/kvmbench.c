/* SPDX-License-Identifier: MIT */
/*
 * kvmbench: what a CPUID exit costs in a guest of KVM, in TSC ticks, measured as guest/demo/bench.asm measures it: the
 * mean of N, less what the same loop takes at least without the instruction. Prints
 *
 *	bench NAME VALUE ticks
 *
 * with NAME from its argument. The guest runs in real mode and leaves its figures in its memory.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define N	1000
#define CODE	0x1000
#define FIGURES 0x2000
#define MEMORY	0x10000

/* TIMED instruction: ESI = the sum of N, EBX = the least; 16 rounds before them do not count. */
#define TIMED(instruction)                                                                                   \
	"	xorl %esi, %esi\n"                                                                                 \
	"	movl $-16, %edi\n"                                                                                 \
	"	movl $-1, %esp\n"                                                                                  \
	"1:	lfence\n"                                                                                        \
	"	rdtsc\n"                                                                                           \
	"	movl %eax, %ebp\n"                                                                                 \
	"	xorl %eax, %eax\n"                                                                                 \
	"	xorl %ecx, %ecx\n" instruction "	lfence\n"                                                   \
	"	rdtsc\n"                                                                                           \
	"	subl %ebp, %eax\n"                                                                                 \
	"	testl %edi, %edi\n"                                                                                \
	"	js 2f\n"                                                                                           \
	"	addl %eax, %esi\n"                                                                                 \
	"	cmpl %esp, %eax\n"                                                                                 \
	"	jae 2f\n"                                                                                          \
	"	movl %eax, %esp\n"                                                                                 \
	"2:	incl %edi\n"                                                                                     \
	"	cmpl $1000, %edi\n"                                                                                \
	"	jne 1b\n"

__asm__("	.section .rodata\n"
	"	.code16\n"
	"guest:\n" TIMED("") "	movl %esp, 0x2000\n" TIMED("	cpuid\n") "	movl %esi, 0x2004\n"
									  "	hlt\n"
									  "guest_end:\n"
									  "	.code64\n"
									  "	.text\n");
extern const char guest[], guest_end[];

static int check(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

int main(int argc, char **argv)
{
	int kvm = check(open("/dev/kvm", O_RDWR), "/dev/kvm");
	int vm = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	uint8_t *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY,
		.userspace_addr = (uint64_t)memory };
	struct kvm_regs regs = { .rip = CODE, .rflags = 2 };
	struct kvm_sregs sregs;
	struct kvm_run *run;
	uint32_t figures[2];
	int vcpu;

	check(memory == MAP_FAILED ? -1 : 0, "mmap");
	memcpy(memory + CODE, guest, (uintptr_t)guest_end - (uintptr_t)guest);
	check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	vcpu = check(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	run = mmap(NULL, (size_t)check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE"),
		PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	check(run == MAP_FAILED ? -1 : 0, "mmap of the vCPU");
	check(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs.base = sregs.cs.selector = 0;
	check(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	check(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
	check(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
	if (run->exit_reason != KVM_EXIT_HLT) {
		fprintf(stderr, "kvmbench: the guest ended with exit reason %u\n", run->exit_reason);
		return 1;
	}
	memcpy(figures, memory + FIGURES, sizeof(figures));
	printf("bench %s %u ticks\n", argc > 1 ? argv[1] : "kvm_exit_cpuid_ticks",
		figures[1] / N - figures[0]);
	return 0;
}
