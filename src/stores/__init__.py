"""The stores: keys, their limits and open holds, and usage records, in DynamoDB or in an SQLite file."""
